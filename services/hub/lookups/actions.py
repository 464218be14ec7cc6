"""Passes a question on to the service that answers it, with the asker's rights, and says how it went."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from services.hub.catalog.domain import Announced, Source
from services.hub.federation.ask import NotYetKnown
from services.hub.federation.domain import SourceUnsound, check_answered, coverage_of, failed
from services.hub.governance.noting import note_dataset
from services.hub.lookups.schemas import LookupAnswer
from services.hub.state import Hub
from shared.caller import Caller
from shared.client import MIB
from shared.datasets.coverage import SourceAnswer
from shared.errors import NotFound
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceFailure, SourceRefused

DEADLINE_S = 2.0
LONGEST_S = 60.0
ANSWER_BYTES = 4 * MIB


def known_lookups(hub: Hub, caller: Caller) -> list[tuple[Source, Announced]]:
    """The lookups of all sectors that the caller may ask, by id; peers' and other hubs' are asked at their own hub."""
    found = [(source, lookup) for _, source in sorted(hub.registry.sources.items()) if source.kind == "sector" for lookup in source.lookups]
    return sorted(((source, lookup) for source, lookup in found if _may(caller, lookup.id)), key=lambda pair: pair[1].id)


async def ask(runtime: Runtime, caller: Caller, name: str, params: Sequence[tuple[str, str]], passage: Passage) -> LookupAnswer:
    """The answer of the service whose lookup it is. `NotFound` if there is none for this caller, `NobodyAnswered` if the service failed."""
    hub: Hub = runtime.own
    source, lookup = _found(hub, caller, name)
    note_dataset(name, ())
    onward, started = passage.onward(), time.monotonic()
    try:
        answer = await hub.client.ask(
            source.name,
            source.url + lookup.path,
            onward,
            token=hub.issuer.hop(caller, source.name),
            params=params,
            headers={"Accept": "application/json"},
            limit_bytes=ANSWER_BYTES,
        )
        content = _json(source.name, answer.content)
    except SourceFailure as failure:
        entry = failed(source.name, name, failure, round((time.monotonic() - started) * 1000))
        coverage = coverage_of(caller, (entry,), limited=not caller.everywhere)
        check_answered(coverage, (failure,) if isinstance(failure, SourceRefused) else (), strict=False)
        raise
    entry = SourceAnswer(source=source.name, dataset=name, status="ok", as_of=datetime.now(UTC), elapsed_ms=answer.elapsed_ms)
    return LookupAnswer(answer=content, coverage=coverage_of(caller, (entry,), limited=not caller.everywhere).as_dict())


def _found(hub: Hub, caller: Caller, name: str) -> tuple[Source, Announced]:
    for source, lookup in known_lookups(hub, caller):
        if lookup.id == name:
            return source, lookup
    service = name.partition(".")[0]
    owner = hub.registry.sources.get(f"{hub.city}/{service}")
    if owner is not None and owner.health != "up" and not owner.lookups and _may(caller, name):
        raise NotYetKnown(f"{owner.name} has not answered since this hub started, so {name[:96]!r} is not known yet.")
    raise NotFound(f"There is no lookup {name[:96]!r}; GET /lookups lists what there is.", pointer="/lookup")


def _may(caller: Caller, name: str) -> bool:
    return caller.has(f"{name.partition('.')[0]}:read", "hub:query")


def _json(source: str, content: bytes) -> object:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise SourceUnsound(f"{source} answered with something other than JSON.") from error
