"""Rows of Arrow tables brought into groups by their dimensions, nulls and all, without a loop over rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_SMALL = 1_000_000
"""A table of so many flags costs nothing."""
LARGEST = 2**62
"""Below what a code can be."""
_UNITS = [unit // timedelta(microseconds=1) for unit in (timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))]
"""What times of groups are multiples of, apart."""


def group_codes(table: pa.Table, names: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """The group of each row, and the number of groups. Null is a value like any other.

    Groups are numbered in no promised order. Without names all rows are one group.
    """
    return numbered(*_combined(table, names))


def number_of_groups(table: pa.Table, names: Sequence[str]) -> int:
    """How many groups `group_codes` finds."""
    codes, bound = _combined(table, names)
    there = occurring([codes], bound)
    return len(np.unique(codes)) if there is None else int(np.count_nonzero(there))


def coded(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table with these columns as places in a dictionary if they hold texts, or times at equal distances: they are looked at once, and never again."""
    for name in names:
        column: Any = None
        if pa.types.is_string(table.schema.field(name).type):
            column = table[name].combine_chunks().dictionary_encode()
        elif (found := _steps(table[name])) is not None:
            column = times_at(pa.array(found.places.astype(np.int32)), found.first, found.step, found.count)
        if column is not None:
            table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def times_at(places: pa.Array, first: int, step: int, count: int) -> pa.DictionaryArray:
    """Times (UTC) as places among `count` of them, in microseconds `step` apart from the first since 1970. `ArrowException` for a place beyond them."""
    times = pa.array(np.arange(count, dtype=np.int64) * step + first).cast(pa.timestamp("us", "UTC"))
    return pa.DictionaryArray.from_arrays(places, times)


def most_times(rows: int) -> int:
    """Among how many times those of so many rows may have their places: what stands for them never swells beyond a bound."""
    return 10_000 + 4 * rows


def rows_of_groups(codes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """One row of each group."""
    rows = np.empty(count, dtype=np.int64)
    rows[codes] = np.arange(len(codes))
    return rows


def _combined(table: pa.Table, names: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """A number for the group of each row, and a bound of them."""
    codes, bound, _ = combined_codes([([places], width) for places, width in (places_of(table[name]) for name in names)], [table.num_rows])
    return codes[0], bound


def combined_codes(
    dimensions: Iterable[tuple[Sequence[NDArray[np.int64]], int]], sizes: Sequence[int]
) -> tuple[Sequence[NDArray[np.int64]], int, list[int | None]]:
    """A number for the group of each row of tables of these sizes, and a bound of them; places and their bound are given for each dimension.

    Also by which stride a number tells the place of each dimension, None where it no longer does. Without dimensions all rows are one group.
    """
    codes: Sequence[NDArray[np.int64]] = [np.zeros(size, dtype=np.int64) for size in sizes]
    bound, strides = 1, list[int | None]()
    for places, width in dimensions:
        if bound * width > LARGEST:
            (codes, bound), strides = numbered_together(codes, bound), [None] * len(strides)
        codes = [before * width + place for before, place in zip(codes, places, strict=True)] if bound > 1 else places
        bound, strides = bound * width, [*(stride and stride * width for stride in strides), 1]
    return codes, bound, strides


@dataclass(frozen=True, slots=True)
class _Steps:
    """Times as places among some at equal distances, in microseconds, the first since 1970."""

    places: NDArray[np.int64]
    first: int
    step: int
    count: int


def _steps(column: pa.ChunkedArray) -> _Steps | None:
    """The times of a column, if they are at equal distances, and none of them is missing."""
    if not pa.types.is_timestamp(column.type) or column.null_count or not len(column):
        return None
    times = np.asarray(column.cast(pa.int64()))
    first = int(times.min())
    apart = times - first
    for unit in _UNITS:
        steps = apart // unit
        count = int(steps.max()) + 1
        if count <= most_times(len(column)) and bool((steps * unit == apart).all()):
            return _Steps(steps, first, unit, count)
    return None


def places_of(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """A number for each value, and a bound of them."""
    if (found := _steps(column)) is not None:
        return found.places, found.count
    if pa.types.is_floating(column.type):
        column = pc.add(column, 0.0)  # -0.0 and 0.0 are one group
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        encoded = encoded.dictionary_encode()
    none = len(encoded.dictionary)
    return filled(encoded.indices, none).astype(np.int64), none + 1


def numbered(codes: NDArray[np.int64], bound: int) -> tuple[NDArray[np.int64], int]:
    """Codes below `bound` numbered without gaps, and how many there are: by a table where that is small, else by sorting."""
    there = occurring([codes], bound)
    if there is None:
        found, numbers = np.unique(codes, return_inverse=True)
        return numbers, len(found)
    return (np.cumsum(there) - 1)[codes], int(np.count_nonzero(there))


def numbered_together(codes: Sequence[NDArray[np.int64]], bound: int) -> tuple[list[NDArray[np.int64]], int]:
    """The same for codes of several tables."""
    whole, count = numbered(np.concatenate(codes), bound)
    return np.split(whole, np.cumsum([len(part) for part in codes])[:-1]), count


def occurring(codes: Sequence[NDArray[np.int64]], bound: int) -> NDArray[np.bool_] | None:
    """Which codes occur; None if a table of all would not be small."""
    if bound > max(_SMALL, 4 * sum(map(len, codes))):
        return None
    there = np.zeros(bound, dtype=bool)
    for part in codes:
        there[part] = True
    return there


def filled(column: pa.ChunkedArray, value: Any) -> NDArray[Any]:
    """A column of numbers with a value where there is none."""
    return np.asarray(pc.fill_null(column, value) if column.null_count else column)


def flattened(column: pa.ChunkedArray, part: str) -> tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]]:
    """The row of each element of a list or map column, and the elements (`part`: values, keys or items)."""
    whole: Any = column.combine_chunks()
    offsets = np.asarray(whole.offsets).astype(np.int64)
    owner = np.repeat(np.arange(len(whole), dtype=np.int32), np.diff(offsets))
    return owner, np.asarray(getattr(whole, part))[offsets[0] : offsets[-1]]


def offsets_of(owner: NDArray[np.signedinteger[Any]], groups: int) -> NDArray[np.int64]:
    """Where the elements of each group begin and end, if `owner` is in ascending order."""
    return np.searchsorted(owner, np.arange(groups + 1, dtype=owner.dtype)).astype(np.int64)
