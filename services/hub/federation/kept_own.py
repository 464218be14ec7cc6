"""The hub's own data among the sources: computed once per change, too."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from services.hub.federation.kept import Answered
from services.hub.federation.kept_states import Versions, made
from shared.caller import Caller
from shared.database import reading
from shared.datasets.aggregate.answer import begin, states_of
from shared.datasets.aggregate.by_values import Memory
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.states import States
from shared.datasets.declaration import Dataset
from shared.datasets.versions import answer_versions
from shared.service import Runtime


async def own_states(runtime: Runtime, dataset: Dataset, question: Question, caller: Caller) -> Answered[States]:
    """States of a dataset of the hub itself, and the version they are of, in one snapshot."""
    asked = time.monotonic()
    async with reading(runtime.reader) as connection:
        version = await begin(connection, dataset, question, runtime.settings)
        states = await states_of(connection, dataset, question, caller, runtime.settings, datetime.now(UTC), Memory(runtime.columns, version))
    return made(states, asked, version)


async def own_versions(runtime: Runtime) -> Versions:
    """The versions of the hub's own datasets now."""
    asked, as_of = time.monotonic(), datetime.now(UTC)
    async with reading(runtime.reader) as connection:
        return Versions(asked, as_of, await answer_versions(connection, runtime.service.datasets, runtime.settings))
