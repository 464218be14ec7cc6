"""Columns of values, as PostgreSQL sends them one after another, brought into groups and summed by numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.gather import check_groups, table_of
from shared.datasets.aggregate.packing import EPOCH_US, LAST_US
from shared.datasets.aggregate.problems import NotFinite
from shared.datasets.aggregate.sketching import buckets_of

DELIMITER, NO_TEXT = 1, "\x02"
_NO_TIME, _NO_NUMBER = -(2**63) + 1, 0x7FF8000000000001
_SMALL, _MOST_CODES = 1_000_000, 2**62
_EPOCH, _STEP = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Integers = NDArray[np.int64]


class Unusual(Exception):  # nothing is wrong: the database groups such values
    """Values that the arithmetic here does not cover."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A value for each row, as its place among the values that occur."""

    places: Integers
    count: int
    """Of places; not all need occur."""
    values: Any
    """`values(places)`: an array of the values at these places."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text for each row, by its place among the distinct ones."""

    places: Integers
    values: pa.Array


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number for each row, and where there is one (None: everywhere)."""

    values: NDArray[Any]
    there: NDArray[np.bool_] | None


def texts_of(data: bytes, count: int) -> Texts:
    """Texts with a delimiter between them. Raises `Unusual` if one of them has it inside."""
    width, rest = divmod(len(data) + 1, count)
    raw = np.frombuffer(data, np.uint8)
    if not rest and width > 1 and bool((raw[width - 1 :: width] == DELIMITER).all()) and int((raw == DELIMITER).sum()) == count - 1:
        same = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, pa.py_buffer(data + b"\x01")]).dictionary_encode()
        distinct = pa.array([text[:-1].decode() for text in same.dictionary.to_pylist()], pa.string())
    else:
        ends = np.flatnonzero(raw == DELIMITER)
        if len(ends) != count - 1:
            raise Unusual
        offsets = np.concatenate(([0], ends - np.arange(count - 1), [len(data) - count + 1])).astype(np.int64)
        whole = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(raw[raw != DELIMITER].tobytes()))
        same = whole.dictionary_encode()
        distinct = same.dictionary.cast(pa.string())
    return Texts(np.asarray(same.indices).astype(np.int64), pc.if_else(pc.equal(distinct, NO_TEXT), pa.scalar(None, pa.string()), distinct))


def times_of(data: bytes, count: int) -> Numbers:
    """Microseconds since 1970. Raises `Unusual` for infinite ones and those after the year 9999."""
    sent = np.frombuffer(data, ">i8", count).astype(np.int64)
    if sent.max() > LAST_US - EPOCH_US or sent.min() == np.iinfo(np.int64).min:
        raise Unusual
    there = sent != _NO_TIME
    return Numbers(sent + EPOCH_US, None if there.all() else there)


def values_of(data: bytes, count: int) -> Numbers:
    """Doubles. Raises `NotFinite`."""
    values = np.frombuffer(data, ">f8", count).astype(np.float64)
    finite = np.isfinite(values)
    if finite.all():
        return Numbers(values, None)
    missing = np.frombuffer(data, ">u8", count) == _NO_NUMBER
    if not (finite | missing).all():
        raise NotFinite("A value is infinite or no number.")
    return Numbers(np.where(missing, 0.0, values), ~missing)


READ: Mapping[str, Callable[[bytes, int], Any]] = {"text": texts_of, "time": times_of, "number": values_of}


def by_texts(texts: Texts, become: Sequence[str | None]) -> Coded:
    """Texts by what each of the distinct ones becomes."""
    values = list(dict.fromkeys(become))
    place = {value: position for position, value in enumerate(values)}
    array = pa.array(values, pa.string())
    return Coded(np.array([place[value] for value in become], dtype=np.int64)[texts.places], len(values), lambda places: array.take(pa.array(places)))


def by_periods(times: Numbers, since: datetime, origin: datetime, unit: timedelta) -> Coded:
    """Times by the unit in which they lie. Raises `Unusual` for a time before `since`, where the zone had other rules."""
    known = times.values if times.there is None else times.values[times.there]
    start, step = (origin - _EPOCH) // _STEP, unit // _STEP
    if not len(known) or int(known.min()) < (since - _EPOCH) // _STEP:
        raise Unusual
    first, last = ((int(end) - start) // step for end in (known.min(), known.max()))
    none = last - first + 1
    places = (times.values - (start + first * step)) // step
    if times.there is not None:
        places = np.where(times.there, places, none)

    def values(places: Integers) -> pa.Array:
        begins = pa.array((places + first) * step + start, mask=places == none)
        return begins.cast(pa.timestamp("us", "UTC"))

    return Coded(places, none + 1, values)


def table_by_values(layout: Layout, dimensions: Sequence[Coded], fields: Mapping[str, Numbers]) -> pa.Table:
    """The states of each group. Raises `TooManyCells` or `NotFinite`."""
    filled, rows, groups = _numbered(dimensions)
    check_groups(len(filled))
    states: dict[str, Any] = {}
    rest = filled
    for dimension, described in zip(reversed(dimensions), reversed(layout.dimensions), strict=True):
        rest, places = np.divmod(rest, dimension.count)
        states[described.name] = dimension.values(places)
    states[GROUP_ROWS] = pa.array(rows)
    sketches: dict[tuple[str, str | None], Any] = {}
    for field, numbers in fields.items():
        owner, values = (groups, numbers.values) if numbers.there is None else (groups[numbers.there], numbers.values[numbers.there])
        asked = [measure for measure in layout.measures if measure.field == field]
        count = pa.array(rows if numbers.there is None else np.bincount(owner, minlength=len(filled)))
        states |= {f"{measure.name}.count": count for measure in asked}
        if any(measure.fn in ("sum", "avg") for measure in asked):
            total = _sums(owner, values, len(filled))
            states |= {f"{measure.name}.sum": total for measure in asked}
        if any(measure.fn == "quantile" for measure in asked):
            sketches["quantile", field] = buckets_of(owner, values, len(filled))
    return table_of(layout, states, sketches)


def _numbered(dimensions: Sequence[Coded]) -> tuple[Integers, Integers, Integers]:
    """The code of each group that occurs, how many rows it has, and the group of each row."""
    codes, bound = dimensions[0].places, dimensions[0].count
    for dimension in dimensions[1:]:
        bound *= dimension.count
        if bound > _MOST_CODES:
            raise Unusual
        codes = codes * dimension.count + dimension.places
    if bound > max(_SMALL, 4 * len(codes)):
        filled, groups, rows = np.unique(codes, return_inverse=True, return_counts=True)
        return filled, rows, groups
    counted = np.bincount(codes, minlength=bound)
    filled = np.flatnonzero(counted)
    return filled, counted[filled], (np.cumsum(counted > 0) - 1)[codes]


def _sums(groups: Integers, values: NDArray[np.float64], count: int) -> pa.Array:
    """The sum of each group, added in the order of the rows."""
    total = np.bincount(groups, values, count)
    if not np.isfinite(total).all():
        raise NotFinite("A value or a sum is infinite or beyond 64 bits.")
    return pa.array(total)
