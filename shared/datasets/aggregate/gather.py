"""Runs the statement of an aggregate and turns its rows into states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.columns import BUCKETS, REGISTERS, Layout
from shared.datasets.aggregate.compile import MAX_CELLS, Compiled
from shared.datasets.aggregate.problems import NotFinite, TooManyCells
from shared.datasets.aggregate.question import MAX_ROWS


async def gather(connection: AsyncConnection, layout: Layout, compiled: Compiled) -> pa.Table:
    """The states of the layout. Raises `TooManyCells` or `NotFinite`."""
    schema, count = layout.schema(), len(layout.dimensions)
    rows = await _rows(connection, compiled)
    values: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(compiled.select.selected_columns)
    names = [*schema.names[: count + 1], *compiled.states]
    columns: dict[str, Any] = dict(zip(names, values, strict=False))
    rest = values[len(names) :]
    for sketch in compiled.sketches:
        state = _buckets(rest[0], rest[1]) if sketch.fn == "quantile" else _registers(rest[0])
        rest = rest[2 if sketch.fn == "quantile" else 1 :]
        same = [measure for measure in layout.measures if (measure.fn, measure.field) == (sketch.fn, sketch.field)]
        columns |= {f"{measure.name}.{'buckets' if sketch.fn == 'quantile' else 'registers'}": state for measure in same}
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)


async def _rows(connection: AsyncConnection, compiled: Compiled) -> Sequence[Any]:
    try:
        rows: Sequence[Any] = (await connection.execute(compiled.select)).fetchall()
    except DBAPIError as error:
        cause = getattr(error.orig, "__cause__", None)
        if isinstance(cause, asyncpg.NumericValueOutOfRangeError):
            raise NotFinite("A value or a sum is infinite or beyond 64 bits.") from error
        if isinstance(cause, asyncpg.ProgramLimitExceededError):
            raise TooManyCells("A group has more values than a sketch can be made of at once.") from error
        raise
    if len(rows) > MAX_ROWS:
        raise TooManyCells(f"The answer has more than {MAX_ROWS} groups.", bound=MAX_ROWS)
    if compiled.sketches and rows and max(row[-1] for row in rows) > MAX_CELLS:
        raise TooManyCells(f"The sketches of quantiles and distinct counts have more than {MAX_CELLS} cells.", bound=MAX_CELLS)
    return rows


def _buckets(cells_of: Sequence[list[int] | None], counts_of: Sequence[list[int] | None]) -> Any:
    order, cells, offsets = _ordered(cells_of)
    counts = np.asarray(pa.array([part or [] for part in counts_of], pa.list_(pa.int64())).values)[order]
    return pa.MapArray.from_arrays(offsets, cells, counts).cast(BUCKETS)


def _registers(cells_of: Sequence[list[int] | None]) -> Any:
    _, cells, offsets = _ordered(cells_of)
    return pa.ListArray.from_arrays(offsets, cells).cast(REGISTERS)


def _ordered(cells_of: Sequence[list[int] | None]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """All cells, ascending within each group: the order that makes them so, the cells, and where each group begins."""
    lists = pa.array([part or [] for part in cells_of], pa.list_(pa.int32()))
    offsets = np.asarray(lists.offsets)
    cells = np.asarray(lists.values)
    order = np.lexsort((cells, np.repeat(np.arange(len(lists)), np.diff(offsets))))
    return order, cells[order], offsets
