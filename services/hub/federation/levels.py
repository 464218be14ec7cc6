"""Paging through other hubs: where a row stands among the rows of many levels, and from where a hub below goes on.

A hub's position is a journey: for each of its sources the position of the last row taken, which of a sector is the row's place, of a
hub again a journey. A hub names a row's place with the source that it came from behind the asked fields, since that is its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.hub.catalog.domain import Source
from services.hub.federation.domain import SourceUnsound, failed, from_city, speaks_for
from services.hub.federation.union import Disorder, Place
from shared.caller import MOST_ACTORS
from shared.datasets.coverage import SourceAnswer
from shared.datasets.keyset import values_of
from shared.source_failures import SourceFailure

Position = Any
"""None before the first row, the place of a row, or a journey: `{"after": {source: position}, "out": {source: status}, "known_at": {source: moment}}`."""
MOST_SOURCES = 500
MOST_NAME = 80
_ANSWERS: TypeAdapter[list[SourceAnswer]] = TypeAdapter(list[SourceAnswer])


def through(source: str, place: Place, sorted_by: int) -> list[str | None]:
    """The place of a row that came from a source; `sorted_by` is the number of asked fields."""
    return [*place[:sorted_by], f"s{source}", *place[sorted_by:]]


def advanced(start: Position, places: Sequence[Place], sorted_by: int) -> Position:
    """The position behind the last of these places, having begun at `start`."""
    if not isinstance(start, Mapping):
        return list(places[-1]) if places else start
    below = _below(start, places, sorted_by)
    return {**start, "after": {name: advanced(position, below.get(name, ()), sorted_by) for name, position in start["after"].items()}}


def rows_by_leaf(source: str, start: Position, places: Sequence[Place], sorted_by: int) -> Counter[str]:
    """How many of these rows came from each sector, or each hub's own tables."""
    if not isinstance(start, Mapping):
        return Counter({source: len(places)})
    found: Counter[str] = Counter()
    for name, part in _below(start, places, sorted_by).items():
        found.update(rows_by_leaf(name, start["after"][name], part, sorted_by))
    return found


def _below(start: Mapping[str, Any], places: Sequence[Place], sorted_by: int) -> dict[str, list[Place]]:
    """The places by source, as each source knows them."""
    found: dict[str, list[Place]] = {}
    for place in places:
        name = (place[sorted_by] or "")[1:]
        if name not in start["after"]:
            raise Disorder(f"a row of {name[:60]!r}, which was not asked")
        found.setdefault(name, []).append([*place[:sorted_by], *place[sorted_by + 1 :]])
    return found


def check_position(position: Position, depth: int = 0) -> None:
    """Raise `ValueError`, `TypeError`, `KeyError`, `IndexError` or `ArithmeticError` for what is no position."""
    if position is None:
        return
    if isinstance(position, list):
        values_of(position)
        return
    after, out, known_at = position["after"], position["out"], position["known_at"]
    if depth == MOST_ACTORS or position.keys() != {"after", "out", "known_at"} or len(after) + len(out) > MOST_SOURCES:
        raise ValueError("a journey of too many levels, sources or parts")
    if not all(isinstance(value, str) for value in (*out.values(), *known_at.values())) or not set(out.values()) <= {"timeout", "error", "denied", "skipped"}:
        raise TypeError("sources that are out have a status, moments are texts")
    for part in after.values():
        check_position(part, depth + 1)


def answers_of(source: Source, entries: Any, dataset: str) -> tuple[SourceAnswer, ...]:
    """The coverage that a hub gave of its own sources. `SourceUnsound` if it speaks of others, or of nobody who answered."""
    try:
        answers = _ANSWERS.validate_python(entries)
    except ValidationError as error:
        raise SourceUnsound(f"{source.name} describes its coverage wrongly: {error.errors(include_input=False)[0]['msg']}") from error
    given = [answer for answer in answers if answer.status in ("ok", "stale")]
    if not given or not speaks_for(source, [answer.source for answer in answers]) or any(answer.dataset != dataset for answer in answers):
        raise SourceUnsound(f"{source.name} answered in another's name or of another dataset, or in nobody's.")
    return tuple(answers)


def unanswered(source: Source, dataset: str, failure: SourceFailure, elapsed_ms: int) -> list[SourceAnswer]:
    """How the coverage names a source that gave no answer: a hub by each of its own sources, as it says now or as it named them when last heard."""
    entry = from_city(source, failed(source.name, dataset, failure, elapsed_ms))
    if source.kind != "hub" or not source.url:
        return [entry]
    said = failure.said.get("coverage")
    try:
        below = _ANSWERS.validate_python(said["sources"] if isinstance(said, Mapping) else [])
    except (ValidationError, KeyError):
        below = []
    if not below or any(answer.status in ("ok", "stale") or answer.dataset != dataset for answer in below):
        offer = source.offers.get(dataset)
        leaves = leaves_of(source.name, offer.collection) if offer else [source.name]
        below = [replace(entry, source=name) for name in leaves]
    return below[:MOST_SOURCES] if speaks_for(source, [answer.source for answer in below]) else [entry]


def leaves_of(source: str, collection: Mapping[str, Any]) -> list[str]:
    """Who holds the rows of a dataset that a source offers, by its own word: of a hub the sectors and hubs' own tables below it."""
    named = collection.get("leaves") or collection.get("sources")
    names = [name for name in named[:MOST_SOURCES] if isinstance(name, str) and len(name) <= MOST_NAME] if isinstance(named, list) else []
    return names or [source]


def counted(answers: Iterable[SourceAnswer], rows: Mapping[str, int]) -> list[SourceAnswer]:
    """The same answers with the rows that were taken of each."""
    return [replace(answer, rows=rows.get(answer.source, 0)) if answer.status in ("ok", "stale") else answer for answer in answers]
