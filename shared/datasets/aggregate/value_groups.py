"""Columns of values brought into groups and summed by numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.gather import check_groups, table_of
from shared.datasets.aggregate.grouping import most_times, times_at
from shared.datasets.aggregate.problems import NotFinite
from shared.datasets.aggregate.sketching import buckets_of
from shared.datasets.aggregate.value_columns import Integers, Numbers, Rows, Unusual

_SMALL, _MOST_CODES = 1_000_000, 2**62
_EPOCH, _STEP = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Coding:
    """A dimension: each row's value as its place among the values that may occur."""

    count: int
    """Of places; not all need occur."""
    places: Callable[[Rows], Integers]
    values: Callable[[Integers], Any]
    """An array of the values at these places."""


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _STEP


def by_texts(name: str, become: Mapping[str | None, str | None]) -> Coding:
    """A field's texts by what each of the distinct ones becomes."""
    values = sorted(set(become.values()), key=lambda value: (value is None, value))
    place = {value: position for position, value in enumerate(values)}
    array = pa.array([value for value in values if value is not None], pa.string())

    def places(rows: Rows) -> Integers:
        texts = rows.texts(name)
        return np.array([place[become[value]] for value in texts.values], dtype=np.int64)[texts.places]

    return Coding(len(values), places, lambda chosen: pa.DictionaryArray.from_arrays(pa.array(chosen.astype(np.int32), mask=chosen == len(array)), array))


def by_periods(name: str, parts: Sequence[Rows], since: datetime, origin: datetime, unit: timedelta) -> Coding:
    """A field's times by the unit in which they lie. Raises `Unusual` if none is known or one lies before `since`, where the zone had other rules."""
    known = [times for times in (rows.times(name).known for rows in parts) if len(times)]
    start, step = microseconds(origin), unit // _STEP
    if not known or min(int(times.min()) for times in known) < microseconds(since):
        raise Unusual
    first = (min(int(times.min()) for times in known) - start) // step
    none = (max(int(times.max()) for times in known) - start) // step - first + 1
    with_none = any(rows.times(name).there is not None for rows in parts)

    def places(rows: Rows) -> Integers:
        times = rows.times(name)
        found: Integers = (times.values - (start + first * step)) // step
        return found if times.there is None else np.where(times.there, found, none)

    def values(chosen: Integers) -> pa.Array:
        if not with_none and none <= most_times(len(chosen)):
            return times_at(pa.array(chosen.astype(np.int32)), first * step + start, step, none)
        moments = (chosen + first) * step + start
        return pa.array(moments, mask=chosen == none if with_none else None).cast(pa.timestamp("us", "UTC"))

    return Coding(none + 1, places, values)


def table_by_values(layout: Layout, dimensions: Sequence[Coding], parts: Sequence[Rows]) -> pa.Table:
    """The states of each group of rows. Raises `TooManyCells` or `NotFinite`."""
    groups = _numbered(dimensions, parts)
    check_groups(len(groups.filled))
    states: dict[str, Any] = {}
    rest = groups.filled
    for dimension, described in zip(reversed(dimensions), reversed(layout.dimensions), strict=True):
        left = rest // dimension.count  # twice as quick as both in one
        states[described.name] = dimension.values(rest - left * dimension.count)
        rest = left
    states[GROUP_ROWS] = pa.array(groups.rows)
    sketches: dict[tuple[str, str | None], Any] = {}
    for field in dict.fromkeys(measure.field for measure in layout.measures if measure.field is not None):
        numbers = [rows.numbers(field) for rows in parts]
        asked = [measure for measure in layout.measures if measure.field == field]
        count = pa.array(groups.counts(numbers))
        states |= {f"{measure.name}.count": count for measure in asked}
        if any(measure.fn in ("sum", "avg") for measure in asked):
            total = pa.array(groups.sums(numbers))
            states |= {f"{measure.name}.sum": total for measure in asked}
        if any(measure.fn == "quantile" for measure in asked):
            sketches["quantile", field] = groups.buckets(numbers)
    return table_of(layout, states, sketches)


@dataclass(frozen=True, slots=True)
class _Groups:
    codes: Sequence[Integers]
    """The slot of each row, part by part."""
    slots: int
    taken: Integers
    """The slots that are groups."""
    filled: Integers
    """The code of each group."""
    rows: Integers
    """How many each has."""

    def counts(self, numbers: Sequence[Numbers]) -> Integers:
        """How many numbers each group has."""
        if all(part.there is None for part in numbers):
            return self.rows
        found = [np.bincount(_there(codes, part), minlength=self.slots) for codes, part in zip(self.codes, numbers, strict=True)]
        return _added(found)[self.taken]

    def sums(self, numbers: Sequence[Numbers]) -> NDArray[np.float64]:
        """The sum of each group; the numbers of a part are added in the order of its rows."""
        found = [np.bincount(_there(codes, part), part.known, self.slots) for codes, part in zip(self.codes, numbers, strict=True)]
        total = _added(found)[self.taken]
        if not np.isfinite(total).all():
            raise NotFinite("A value or a sum is infinite or beyond 64 bits.")
        return total

    def buckets(self, numbers: Sequence[Numbers]) -> pa.Array:
        """The sketch of each group."""
        place = np.zeros(self.slots, np.int32)
        place[self.taken] = np.arange(len(self.taken), dtype=np.int32)
        owners = np.concatenate([place[_there(codes, part)] for codes, part in zip(self.codes, numbers, strict=True)])
        return buckets_of(owners, np.concatenate([part.known for part in numbers]), len(self.taken))


def _numbered(dimensions: Sequence[Coding], parts: Sequence[Rows]) -> _Groups:
    """The groups that occur. A slot for each that might, unless these are many more than there are rows."""
    bound = math.prod(dimension.count for dimension in dimensions)
    if bound > _MOST_CODES:
        raise Unusual
    codes = [_codes(dimensions, rows) for rows in parts]
    if bound <= max(_SMALL, 4 * sum(map(len, codes))):
        counted = _added([np.bincount(part, minlength=bound) for part in codes])
        filled = np.flatnonzero(counted > 0)
        return _Groups(codes, bound, filled, filled, counted[filled])
    filled, groups, rows = np.unique(np.concatenate(codes), return_inverse=True, return_counts=True)
    return _Groups(np.split(groups, np.cumsum([len(part) for part in codes])[:-1]), len(filled), np.arange(len(filled)), filled, rows)


def _codes(dimensions: Sequence[Coding], rows: Rows) -> Integers:
    codes = dimensions[0].places(rows)
    for dimension in dimensions[1:]:
        codes = codes * dimension.count + dimension.places(rows)
    return codes


def _there(codes: Integers, numbers: Numbers) -> Integers:
    return codes if numbers.there is None else codes[numbers.there]


def _added(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total
