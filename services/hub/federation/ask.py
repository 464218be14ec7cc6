"""Asks every source of a dataset at once and tells answers from failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from services.hub.catalog.domain import Source, limited
from services.hub.federation.domain import failed
from services.hub.state import Hub
from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Dataset
from shared.datasets.labels import visible_fields
from shared.datasets.view import unknown_dataset
from shared.errors import Problem
from shared.problems import from_exception
from shared.service import Runtime
from shared.source_failures import SourceFailure, SourceRefused
from shared.vocabulary import Text

Found = TypeVar("Found")


class NotYetKnown(Problem):
    slug, status = "source-not-yet-known", 503
    title = Text("来源尚未联系上", "Source not yet met")
    remedy = Text("来源启动后自动可用；稍后重试。", "It is known as soon as its source has started; try again later.")
    headers = {"Retry-After": "5"}


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask for a dataset on somebody's behalf."""

    dataset: str
    sources: tuple[Source, ...]
    own: Dataset | None
    """The declaration, if the hub itself is one of the sources."""
    declared: Dataset | None
    """What is known of the dataset, by the first source that offered it; nothing if none was ever met."""
    limited: bool
    """Whether the token is narrower than the dataset."""


@dataclass(frozen=True, slots=True)
class Outcomes(Generic[Found]):
    """What came of asking: answers by source, and the coverage entries of those that gave none."""

    found: tuple[tuple[Source, Found], ...]
    failures: tuple[SourceAnswer, ...]
    refusals: tuple[SourceRefused, ...]


def target(runtime: Runtime, caller: Caller, dataset: str) -> Target:
    """The sources that may hold rows of the dataset for this caller. `NotFound` if it does not exist for them, whatever the reason."""
    hub: Hub = runtime.own
    own = next((declared for declared in runtime.service.datasets if declared.id == dataset), None)
    sources = hub.registry.offering(dataset)
    declared = [source.offers[dataset].declared for source in sources if dataset in source.offers]
    if own is not None:
        sources, declared = [*sources, Source(name=hub.name, kind="hub", url="")], [*declared, own]
    hidden = bool(declared) and not any(visible_fields(known, caller) for known in declared)
    if not sources or hidden or not caller.has(f"{dataset.partition('.')[0]}:read", "hub:query"):
        raise unknown_dataset(dataset)
    narrow = not caller.everywhere or any(limited(caller, known) for known in declared)
    return Target(dataset, tuple(sources), own, declared[0] if declared else None, narrow)


async def ask_all(aim: Target, ask: Callable[[Source], Awaitable[Found]]) -> Outcomes[Found]:
    """Ask all sources at once; each failure becomes an entry of the coverage.

    A source that knows no such dataset for this caller holds nothing of the answer and is left out, unless nobody knows it:
    then the dataset does not exist, or its only sources have never been met.
    """
    asked = await asyncio.gather(*(_one(source, ask) for source in aim.sources))
    known = [(source, answer, failure, elapsed_ms) for source, answer, failure, elapsed_ms in asked if not _unknown(failure)]
    if not known:
        raise unknown_dataset(aim.dataset)
    found = tuple((source, answer) for source, answer, _, _ in known if answer is not None)
    failures = tuple(failed(source.name, aim.dataset, failure, elapsed_ms) for source, _, failure, elapsed_ms in known if failure is not None)
    refusals = tuple(failure for _, _, failure, _ in known if isinstance(failure, SourceRefused))
    if not found and not refusals and aim.declared is None:
        raise NotYetKnown(f"{', '.join(source.name for source in aim.sources)} has not answered since this hub exists, so {aim.dataset} is not known yet.")
    return Outcomes(found, failures, refusals)


def _unknown(failure: SourceFailure | None) -> bool:
    return isinstance(failure, SourceRefused) and failure.answered == 404


async def _one(source: Source, ask: Callable[[Source], Awaitable[Found]]) -> tuple[Source, Found | None, SourceFailure | None, int]:
    started = time.monotonic()
    try:
        return source, await ask(source), None, 0
    except SourceFailure as error:
        failure = error
    except Problem as problem:  # the hub's own data
        failure = SourceRefused(problem.detail, problem.status, problem.body()) if problem.status < 500 else SourceFailure(problem.detail)
    except (SQLAlchemyError, OSError) as error:
        failure = SourceFailure(from_exception(error).detail)
    return source, None, failure, round((time.monotonic() - started) * 1000)
