"""The merged order of several sources' rows: by the asked fields, then source, then key; nulls last."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import total_ordering
from itertools import pairwise
from typing import Any

from shared.datasets.keyset import values_of

Place = Sequence[str | None]


class Disorder(ValueError):
    """A source's rows are not in the order that was asked for, or it names their places in a way nobody understands."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What one source sent for a page: the place of each row, in order, and whether these are all that it has left."""

    source: str
    places: Sequence[Place]
    exhausted: bool


@dataclass(frozen=True, slots=True)
class Merged:
    """The rows of a page, and from where each source goes on."""

    picked: list[tuple[int, int]]
    """Position of the portion, position of the row in it."""
    taken: list[int]
    """For each portion, how many of its rows are in the page."""
    done: bool
    """Whether nothing is left anywhere."""


@total_ordering
@dataclass(frozen=True, slots=True)
class _Down:
    """A value in descending order."""

    value: Any

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)


def merge(portions: Sequence[Portion], descending: Sequence[bool], limit: int) -> Merged:
    """The first `limit` rows of all portions together.

    It ends early where a source that has more rows to give ran out of those it sent: what comes next may be its own.
    `descending` says for each asked field whether it goes down; the levels after those are the source's key.
    """
    taken = [0] * len(portions)
    picked: list[tuple[int, int]] = []
    runs = [_run(number, portion, descending) for number, portion in enumerate(portions)]
    for _, number, row in heapq.merge(*runs, key=lambda entry: entry[0]):
        if len(picked) == limit:
            break
        picked.append((number, row))
        taken[number] += 1
        if taken[number] == len(portions[number].places) and not portions[number].exhausted:
            break
    done = all(portion.exhausted and taken[number] == len(portion.places) for number, portion in enumerate(portions))
    return Merged(picked, taken, done)


def check_order(portion: Portion, descending: Sequence[bool]) -> None:
    """Raise `Disorder` unless the portion's rows are in the asked order, none of them twice."""
    try:
        keys = [_key(place, descending, whole=True) for place in portion.places]
        if any(len(place) <= len(descending) for place in portion.places) or any(not before < behind for before, behind in pairwise(keys)):
            raise Disorder(f"The rows of {portion.source} are not in the order that was asked for.")
        if not portion.places and not portion.exhausted:
            raise Disorder(f"{portion.source} sent no rows and said that it has more.")
    except (TypeError, ValueError, KeyError, IndexError, ArithmeticError) as error:
        raise Disorder(f"{portion.source} sent its rows without order: {str(error)[:200]}") from error


def _run(number: int, portion: Portion, descending: Sequence[bool]) -> Iterator[tuple[Any, int, int]]:
    for row, place in enumerate(portion.places):
        yield (_key(place, descending), portion.source), number, row


def _key(place: Place, descending: Sequence[bool], *, whole: bool = False) -> tuple[Any, ...]:
    values = values_of(place)
    levels = [level(value, down) for value, down in zip(values, descending, strict=False)]
    return (*levels, *(level(value, False) for value in values[len(descending) :])) if whole else tuple(levels)


def level(value: Any, down: bool) -> tuple[Any, ...]:
    """Nulls last in either direction; not-a-number above all numbers, as PostgreSQL has it."""
    if value is None:
        return (1,)
    comparable = _comparable(value)
    return (0, _Down(comparable)) if down else (0, comparable)


def _comparable(value: Any) -> tuple[Any, ...]:
    """Kinds that do not compare are told apart, so that sources which disagree on a field's type still have one order."""
    match value:
        case bool():
            return ("boolean", value)
        case int() | float() | Decimal():
            return ("number", 1, 0) if math.isnan(value) else ("number", 0, value)
        case datetime():
            return ("datetime" if value.tzinfo else "datetime of no zone", value)
        case date():
            return ("date", value)
    return (type(value).__name__, value)
