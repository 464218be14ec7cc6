"""Asks every source of a dataset at once and tells answers from failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from services.hub.catalog.domain import Source, asked_for, limited
from services.hub.federation.levels import unanswered
from services.hub.governance.noting import note_dataset
from services.hub.state import Hub
from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Dataset
from shared.datasets.labels import visible_fields
from shared.datasets.view import unknown_dataset
from shared.errors import InvalidRequest, Problem
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
    seen: frozenset[str] = frozenset()
    """Sectors that, by their own schema, show this caller something of the dataset: one that denies it all the same is at fault."""

    def is_own(self, source: Source) -> bool:
        """Whether the source is the hub itself."""
        return source.kind == "hub" and not source.url

    def own_at(self, source: Source) -> Dataset | None:
        """The declaration, if this source is the hub itself."""
        return self.own if self.is_own(source) else None


@dataclass(frozen=True, slots=True)
class Outcomes(Generic[Found]):
    """What came of asking: answers by source, and the coverage entries of those that gave none."""

    found: tuple[tuple[Source, Found], ...]
    failures: tuple[SourceAnswer, ...]
    refusals: tuple[SourceRefused, ...]


def target(runtime: Runtime, caller: Caller, dataset: str, named: frozenset[str] | None = None) -> Target:
    """The sources that may hold rows of the dataset for this caller: those `named`, or all but peer cities, which are asked only if named.

    `NotFound` if the dataset does not exist for the caller, whatever the reason; `InvalidRequest` for a name that is no source of it.
    """
    own = next((declared for declared in runtime.service.datasets if declared.id == dataset), None)
    possible = _possible(runtime, caller, dataset, own, named or frozenset())
    known = _declared(dataset, possible, own)
    if possible:
        note_dataset(dataset, known)
    if not possible or _hidden(caller, known) or not (known or caller.has(f"{dataset.partition('.')[0]}:read", "hub:query")):
        raise unknown_dataset(dataset)
    if named is None:
        chosen = tuple(source for source in possible if source.kind != "city")
    else:
        chosen = tuple(source for source in possible if source.name in named)
        if wrong := named - {source.name for source in chosen}:
            raise InvalidRequest(f"{', '.join(sorted(wrong))[:200]}: no source of {dataset} is called so. GET /sources lists them.", pointer="/sources")
    if not chosen:
        raise InvalidRequest(f"Only peer cities offer {dataset}. Name those to ask, such as sources={possible[0].name}.", pointer="/sources")
    declared = _declared(dataset, chosen, own)
    if _hidden(caller, declared):
        raise unknown_dataset(dataset)
    narrow = not caller.everywhere or any(limited(caller, known) for known in declared)
    own = own if any(source.kind == "hub" and not source.url for source in chosen) else None
    seen = (source.name for source in chosen if source.kind == "sector" and (offer := source.offers.get(dataset)) and visible_fields(offer.declared, caller))
    return Target(dataset, chosen, own, declared[0] if declared else None, narrow, frozenset(seen))


def targets(runtime: Runtime, caller: Caller, datasets: Mapping[str, str], named: frozenset[str] | None) -> dict[str, Target]:
    """The same for several datasets side by side: each asks those of the named sources that offer it, and each name must be of some use."""
    if named is None:
        return {part: target(runtime, caller, dataset) for part, dataset in datasets.items()}
    hub: Hub = runtime.own
    own = {dataset.id for dataset in runtime.service.datasets}
    of = {
        part: named & {*(source.name for source in hub.registry.offering(dataset)), *([hub.name] if dataset in own else [])}
        for part, dataset in datasets.items()
    }
    if wrong := named - frozenset().union(*of.values()):
        raise InvalidRequest(f"{', '.join(sorted(wrong))[:200]}: no source of these datasets is called so. GET /sources lists them.", pointer="/sources")
    for part, names in of.items():
        if not names:
            raise InvalidRequest(f"None of the named sources offers {datasets[part]}.", pointer=f"/across/{part}/dataset")
    return {part: target(runtime, caller, dataset, of[part]) for part, dataset in datasets.items()}


def _possible(runtime: Runtime, caller: Caller, dataset: str, own: Dataset | None, named: frozenset[str]) -> list[Source]:
    """Everybody who may hold rows and is asked for this caller; a peer city that was never met may hold anything, but only if it is named."""
    hub: Hub = runtime.own
    found = {source.name: source for source in hub.registry.offering(dataset) if source.met or source.kind != "city"}
    found |= {name: source for name in named if (source := hub.registry.sources.get(name)) and source.kind == "city" and not source.met}
    myself = [Source(name=hub.name, kind="hub", url="")] if own is not None else []
    return [*(source for _, source in sorted(found.items()) if asked_for(caller, source, hub.city)), *myself]


def _declared(dataset: str, sources: Sequence[Source], own: Dataset | None) -> list[Dataset]:
    """What is known of the dataset, the city's own word first: a peer may share fewer fields."""
    ordered = sorted(sources, key=lambda source: source.kind == "city")
    found = [own if source.kind == "hub" and not source.url else offer.declared if (offer := source.offers.get(dataset)) else None for source in ordered]
    return [declared for declared in found if declared is not None]


def _hidden(caller: Caller, declared: Sequence[Dataset]) -> bool:
    return bool(declared) and not any(visible_fields(known, caller) for known in declared)


async def ask_all(aim: Target, ask: Callable[[Source], Awaitable[Found]]) -> Outcomes[Found]:
    """Ask all sources at once; each failure becomes an entry of the coverage.

    A source that knows no such dataset for this caller holds nothing of the answer and is left out, unless nobody knows it:
    then the dataset does not exist, or its only sources have never been met. A peer city was named, so its refusal is told.
    """
    asked = await asyncio.gather(*(_one(source, ask) for source in aim.sources))
    told = [(source, answer, _doubted(aim, source, failure), elapsed_ms) for source, answer, failure, elapsed_ms in asked]
    known = [(source, answer, failure, elapsed_ms) for source, answer, failure, elapsed_ms in told if not _unknown(source, failure)]
    if not known:
        raise unknown_dataset(aim.dataset)
    found = tuple((source, answer) for source, answer, _, _ in known if answer is not None)
    failures = tuple(
        answer for source, _, failure, elapsed_ms in known if failure is not None for answer in unanswered(source, aim.dataset, failure, elapsed_ms)
    )
    refusals = tuple(failure for _, _, failure, _ in known if isinstance(failure, SourceRefused))
    if not found and not refusals and aim.declared is None:
        raise NotYetKnown(f"{', '.join(source.name for source in aim.sources)} has not answered since this hub exists, so {aim.dataset} is not known yet.")
    return Outcomes(found, failures, refusals)


def _doubted(aim: Target, source: Source, failure: SourceFailure | None) -> SourceFailure | None:
    """A sector that denies a dataset which its own schema shows to this caller is at fault."""
    if source.name in aim.seen and _unknown(source, failure):
        return SourceFailure(f"{source.name} denies {aim.dataset}, which its schema shows.")
    return failure


def _unknown(source: Source, failure: SourceFailure | None) -> bool:
    return source.kind != "city" and isinstance(failure, SourceRefused) and failure.answered == 404


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
