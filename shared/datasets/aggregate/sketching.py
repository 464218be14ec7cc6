"""Sketches made from the values of many groups at once: log buckets and HyperLogLog registers, counted without sorting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.datasets.aggregate.columns import BUCKETS, REGISTERS
from shared.datasets.aggregate.packing import Bytes
from shared.datasets.aggregate.problems import NotFinite
from shared.datasets.aggregate.sketches import BUCKET_OFFSET, GAMMA, PRECISION, RANK_LIMIT, RANKED_BITS

_PER_BUCKET = 1 / math.log(GAMMA)
_TABLE = 2_000_000
"""Entries of a table of some groups by keys."""
_SPARSE = 8
"""From so many cells for each value on, sorting takes less time."""
_WIDTH = 8
"""Bytes of a value or a hash."""
Integers = NDArray[np.signedinteger[Any]]
Cells = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Group, key and number or rank of each cell, ascending."""


def buckets(sent: Bytes) -> pa.Array:
    """The log buckets of each group's values (`float8send`), as `BUCKETS`."""
    return buckets_of(_owners(sent), np.frombuffer(sent.data, ">f8").astype(np.float64), len(sent.lengths))


def buckets_of(group: Integers, values: NDArray[np.float64], groups: int) -> pa.Array:
    """The log buckets of each group's values. Few values of many groups are sorted, many of few groups are counted in a table."""
    if not np.isfinite(values).all():
        raise NotFinite("A value is infinite or no number.")
    keys = _bucket_keys(values)
    lowest = int(keys.min(initial=0))
    width = int(keys.max(initial=0)) - lowest + 1
    if groups * width > _SPARSE * len(values):
        narrow = np.int32 if groups * width < np.iinfo(np.int32).max else np.int64  # sorted in half the time
        cells = np.sort((group.astype(np.int64) * width + (keys - lowest)).astype(narrow))
        ends = np.flatnonzero(np.diff(cells, append=-1))
        owner, key = np.divmod(cells[ends].astype(np.int64), width)
        key, count = key + lowest, np.diff(ends, prepend=-1)
    else:
        if not (group[1:] >= group[:-1]).all():
            order = np.argsort(group, kind="stable")
            group, keys = group[order], keys[order]

        def add(cells: NDArray[np.int64], _: slice, size: int) -> NDArray[np.int64]:
            return np.bincount(cells, minlength=size)

        owner, key, count = combined(group, keys, groups, add)
    return pa.MapArray.from_arrays(_offsets(owner, groups), key.astype(np.int32), count).cast(BUCKETS)


def registers(sent: Bytes) -> pa.Array:
    """The HyperLogLog registers of each group's hashes (`int8send`), as `REGISTERS`.

    The first bits of a hash choose the register; the rank is one more than the number of leading zeros in the last bits.
    """
    hashes = np.frombuffer(sent.data, ">u8").astype(np.uint64)
    register = (hashes >> np.uint64(64 - PRECISION)).astype(np.int64)
    ranks = RANK_LIMIT - np.frexp((hashes & np.uint64((1 << RANKED_BITS) - 1)).astype(np.float64))[1].astype(np.int64)

    def greatest(cells: NDArray[np.int64], part: slice, size: int) -> NDArray[np.int64]:
        best = np.zeros(size, dtype=np.int64)
        np.maximum.at(best, cells, ranks[part])
        return best

    group, key, rank = combined(_owners(sent), register, len(sent.lengths), greatest)
    return pa.ListArray.from_arrays(_offsets(group, len(sent.lengths)), (key * 64 + rank).astype(np.int32)).cast(REGISTERS)


def combined(group: Integers, keys: Integers, groups: int, combine: Callable[[NDArray[np.int64], slice, int], NDArray[np.int64]]) -> Cells:
    """Every cell that occurs, with what `combine` makes of its entries. `group` is ascending.

    Some groups at a time lie in a table of groups by keys: on a million entries many times faster than sorting them.
    """
    lowest = int(keys.min(initial=0))
    present = np.zeros(int(keys.max(initial=0)) - lowest + 1, dtype=bool)
    shifted = keys - keys.dtype.type(lowest)
    present[shifted] = True
    place, known = (np.cumsum(present, dtype=np.int32) - 1)[shifted], np.flatnonzero(present) + lowest
    width = max(len(known), 1)
    step = max(_TABLE // width, 1)
    found: list[tuple[NDArray[np.int64], ...]] = []
    for first in range(0, groups, step):
        part = slice(*np.searchsorted(group, np.array((first, min(first + step, groups)), dtype=group.dtype)))
        size = min(step, groups - first) * width
        values = combine((group[part].astype(np.int64) - first) * width + place[part], part, size)
        filled = np.flatnonzero(values)
        found.append((filled // width + first, known[filled % width] if len(known) else filled, values[filled]))
    if not found:
        found.append((np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]  # three columns


def _bucket_keys(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The key of each value: positive, 0, or negative and mirrored (`sketches`)."""
    with np.errstate(divide="ignore"):
        size = np.log(np.abs(values))
    keys = np.ceil(np.where(values == 0, 0.0, size) * _PER_BUCKET).astype(np.int64) + BUCKET_OFFSET
    return np.sign(values).astype(np.int64) * keys


def _owners(sent: Bytes) -> Integers:
    """The group of each value."""
    return np.repeat(np.arange(len(sent.lengths), dtype=np.int32), sent.lengths // _WIDTH)


def _offsets(group: NDArray[np.int64], groups: int) -> NDArray[np.int32]:
    return np.searchsorted(group, np.arange(groups + 1)).astype(np.int32)
