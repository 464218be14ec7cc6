"""The groups of several sources: a slot for each, in which their states are put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.grouping import combined_codes, filled, numbered, numbered_together, occurring, places_of, rows_of_groups

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shared:
    """A dimension of several tables: the place of each row among values that all share; null has the place after the last."""

    places: Sequence[Integers]
    """Table by table."""
    values: Any

    def of(self, chosen: Integers) -> Any:
        """The values at these places."""
        return self.values.take(pa.array(chosen, mask=chosen == len(self.values)))


@dataclass(frozen=True)
class Slots:
    """For each row of several tables the slot of its group. Not every slot is a group, where there are not many more of them than rows."""

    codes: Sequence[Integers]
    """Table by table."""
    count: int
    taken: Integers
    """The slots that are groups, ascending."""
    strides: Mapping[str, int] = field(default_factory=dict)
    """By which a slot tells the places of its dimensions; none if the slots were numbered in another way."""

    @cached_property
    def whole(self) -> Integers:
        """The slots of all rows."""
        return np.concatenate(self.codes)

    @cached_property
    def groups(self) -> Integers:
        """The group of each row: its slot's place among those that are taken."""
        place = np.zeros(self.count, dtype=np.int64)
        place[self.taken] = np.arange(len(self.taken))
        return place[self.whole]

    def apart(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """What there is for each row, table by table."""
        return np.split(values, np.cumsum([len(part) for part in self.codes])[:-1])

    def dimension(self, name: str, shared: Shared) -> Any:
        """The value of each group."""
        if name in self.strides:
            return shared.of(self.taken // self.strides[name] % (len(shared.values) + 1))
        places = np.zeros(self.count, dtype=np.int64)
        for codes, part in zip(self.codes, shared.places, strict=True):
            places[codes] = part
        return shared.of(places[self.taken])


def shared(columns: Sequence[pa.ChunkedArray]) -> Shared:
    """The same dimension of several tables. Dictionaries that are the same everywhere, as those of times of one question mostly are, are not looked into."""
    wholes: list[Any] = [column.combine_chunks() for column in columns]
    if not all(pa.types.is_dictionary(whole.type) for whole in wholes):
        wholes = _encoded_together(wholes)
    values = wholes[0].dictionary
    if all(whole.dictionary.equals(values) for whole in wholes[1:]):
        return Shared([_indices(whole) for whole in wholes], values)
    known = pa.chunked_array([whole.dictionary for whole in wholes])
    places, count = numbered(*places_of(known))
    values = known.take(pa.array(rows_of_groups(places, count))).combine_chunks()
    apart = np.split(places, np.cumsum([len(whole.dictionary) for whole in wholes])[:-1])
    return Shared([np.append(part, count)[_indices(whole)] for part, whole in zip(apart, wholes, strict=True)], values)


def slots_of(dimensions: Mapping[str, Shared], sizes: Sequence[int]) -> Slots:
    """The slots of the rows of tables of these sizes. Without dimensions all rows are one group."""
    codes, bound, strides = combined_codes([(dimension.places, len(dimension.values) + 1) for dimension in dimensions.values()], sizes)
    there = occurring(codes, bound)
    if there is not None:
        return Slots(codes, bound, np.flatnonzero(there), {name: stride for name, stride in zip(dimensions, strides, strict=True) if stride})
    codes, bound = numbered_together(codes, bound)
    return Slots(codes, bound, np.arange(bound))


def _indices(whole: Any) -> Integers:
    return filled(whole.indices, len(whole.dictionary)).astype(np.int64)


def _encoded_together(wholes: Sequence[Any]) -> list[Any]:
    """Columns of the same values as places in one dictionary; -0.0 and 0.0 are one value."""
    plain = [whole.cast(whole.type.value_type) if pa.types.is_dictionary(whole.type) else whole for whole in wholes]
    column = pa.concat_arrays(plain)
    encoded = (pc.add(column, 0.0) if pa.types.is_floating(column.type) else column).dictionary_encode()
    ends = np.cumsum([len(whole) for whole in wholes])
    return [encoded.slice(end - len(whole), len(whole)) for whole, end in zip(wholes, ends.tolist(), strict=True)]
