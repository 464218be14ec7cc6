"""Sorted streams of several sources as one: by the asked fields, then source; within a source as it sent them. Bounded to one batch of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.hub.federation.domain import SourceUnsound
from services.hub.federation.union import level
from shared.datasets.keyset import TEXT_LENGTH
from shared.source_failures import SourceFailure

Order = Sequence[tuple[str, bool]]
"""Fields, and whether downwards."""
Key = tuple[Any, ...]
Failed = Callable[[int, SourceFailure], None]
"""Told the number of a run that gives no more, and why."""


@dataclass(slots=True, eq=False)
class Run:
    """What has come of one source and is not yet in the answer."""

    number: int
    source: str
    batches: AsyncIterator[pa.RecordBatch]
    held: pa.RecordBatch | None = None
    keys: pa.RecordBatch | None = None
    """The values that decide the order, row by row."""
    last: Key | None = field(default=None)
    """Key of the last row that went into the answer."""
    sound: bool = True

    @property
    def rows(self) -> int:
        return self.held.num_rows if self.held is not None else 0

    def key(self, row: int, order: Order) -> Key:
        assert self.keys is not None
        return tuple(level(column[row].as_py(), down) for column, (_, down) in zip(self.keys.columns, order, strict=True))

    def before(self, bound: Key, order: Order, *, equal: bool) -> int:
        """How many of the held rows come before a key, or are equal to it."""
        low, high = 0, self.rows
        while low < high:
            middle = (low + high) // 2
            here = self.key(middle, order)
            if here < bound or (equal and here == bound):
                low = middle + 1
            else:
                high = middle
        return low

    def take(self, count: int) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """The first rows and their keys; they are no longer held."""
        assert self.held is not None and self.keys is not None
        taken = self.held.slice(0, count), self.keys.slice(0, count)
        rest = self.rows - count
        self.held, self.keys = (self.held.slice(count), self.keys.slice(count)) if rest else (None, None)
        return taken


async def interleave(runs: Sequence[Run], order: Order, failed: Failed) -> AsyncIterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Batches in the order of all rows, with the number of the run of each row. `runs` are in the order of the sources' names.

    A source that fails, or whose rows are not in order, is told to `failed` and ends; what it sent before stays.
    """
    going = list(runs)
    while True:
        for run in list(going):
            if run.held is None and not await _filled(run, order, failed):
                going.remove(run)
        if not going:
            return
        bound, owner = min((run.key(run.rows - 1, order), number) for number, run in enumerate(going))
        counts = [run.before(bound, order, equal=number <= owner) for number, run in enumerate(going)]
        counts[owner] = going[owner].rows  # so that every turn ends something, even where rows lie in no order
        taken = [(run, *run.take(count)) for run, count in zip(going, counts, strict=True) if count]
        sound = [(run, rows, keys) for run, rows, keys in taken if _in_order(run, keys, order, failed)]
        going = [run for run in going if run.sound]
        if sound:
            sorting = _sorting(pa.concat_batches([keys for _, _, keys in sound]), order)
            owners = np.repeat([run.number for run, _, _ in sound], [rows.num_rows for _, rows, _ in sound])
            yield pa.concat_batches([rows for _, rows, _ in sound]).take(sorting), owners[sorting.to_numpy()]


async def _filled(run: Run, order: Order, failed: Failed) -> bool:
    try:
        batch = await anext(run.batches, None)
    except SourceFailure as failure:
        failed(run.number, failure)
        return False
    run.held, run.keys = batch, _keys(batch, order) if batch is not None else None
    return batch is not None


def _keys(batch: pa.RecordBatch, order: Order) -> pa.RecordBatch:
    """The values by which rows are ordered: texts by their first characters, as pages have it."""
    columns = [batch.column(name) for name, _ in order]
    shortened = [pc.utf8_slice_codeunits(column, 0, TEXT_LENGTH) if pa.types.is_string(column.type) else column for column in columns]
    return pa.RecordBatch.from_arrays(shortened, names=[f"k{number}" for number in range(len(columns))])


def _sorting(keys: pa.RecordBatch, order: Order) -> pa.Array:
    """The positions of the rows in order; those with equal keys stay as they stand. Nulls last, not-a-number above all numbers."""
    columns: dict[str, pa.Array] = {}
    sort: list[tuple[str, str, str]] = []
    for (name, down), column in zip([(f"k{number}", down) for number, (_, down) in enumerate(order)], keys.columns, strict=True):
        way = "descending" if down else "ascending"
        if pa.types.is_floating(column.type):
            odd = pc.is_nan(column)
            columns[f"{name}n"], columns[name] = odd, pc.if_else(odd, 0.0, column)
            sort.append((f"{name}n", way, "at_end"))
        else:
            columns[name] = column
        sort.append((name, way, "at_end"))
    return pc.sort_indices(pa.table(columns), sort_keys=sort)


def _in_order(run: Run, keys: pa.RecordBatch, order: Order, failed: Failed) -> bool:
    """Whether the rows about to go into the answer follow each other, and those that went before."""
    first = _first(keys, order)
    rising = bool((np.diff(_sorting(keys, order).to_numpy().astype(np.int64)) > 0).all()) and (run.last is None or run.last <= first)
    if not rising:
        run.sound = False
        failed(run.number, SourceUnsound(f"{run.source} sent rows that are not in the asked order."))
        return False
    run.last = _first(keys.slice(keys.num_rows - 1), order)
    return True


def _first(keys: pa.RecordBatch, order: Order) -> Key:
    return tuple(level(column[0].as_py(), down) for column, (_, down) in zip(keys.columns, order, strict=True))
