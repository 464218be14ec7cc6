"""Runs the statements of an aggregate in one snapshot and puts their results side by side as states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import numpy as np
import pyarrow as pa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.columns import BUCKETS, GROUP_ROWS, REGISTERS, Layout
from shared.datasets.aggregate.compile import MAX_CELLS, Compiled, Statement
from shared.datasets.aggregate.grouping import offsets_of
from shared.datasets.aggregate.problems import NotFinite, TooManyCells
from shared.datasets.aggregate.question import MAX_ROWS


async def gather(connection: AsyncConnection, layout: Layout, compiled: Compiled) -> pa.Table:
    """The states of the layout. `connection` must read from one snapshot (repeatable read). Raises `TooManyCells` or `NotFinite`."""
    schema, count = layout.schema(), len(layout.dimensions)
    columns: dict[str, Any] = {}
    groups: list[tuple[Any, ...]] = []
    for statement in compiled.statements:
        rows = await _rows(connection, statement)
        values = list(zip(*rows, strict=True)) or [()] * len(statement.select.selected_columns)
        keys = list(zip(*values[:count], strict=True)) if count else [()] * len(rows)
        states = values[count + 1 :]
        found = _sketch_states(layout, statement, *states) if statement.sketch else dict(zip(statement.states, states, strict=True))
        arrays = {name: pa.array(column, schema.field(name).type) for name, column in found.items()}
        if not columns:
            groups = keys
            columns = {name: pa.array(values[position], schema.field(position).type) for position, name in enumerate(schema.names[: count + 1])}
        else:
            place = {key: position for position, key in enumerate(keys)}
            order = pa.array([place[key] for key in groups], pa.int64())
            arrays = {name: column.take(order) for name, column in arrays.items()}
        columns |= arrays
    columns |= {f"{measure.name}.count": columns[GROUP_ROWS] for measure in layout.measures if measure.field is None}
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


async def _rows(connection: AsyncConnection, statement: Statement) -> Sequence[Any]:
    try:
        rows: Sequence[Any] = (await connection.execute(statement.select)).fetchall()
    except DBAPIError as error:
        if isinstance(getattr(error.orig, "__cause__", None), asyncpg.NumericValueOutOfRangeError):
            raise NotFinite("A value or a sum is infinite or beyond 64 bits.") from error
        raise
    if len(rows) > MAX_ROWS:
        raise TooManyCells(f"The answer has more than {MAX_ROWS} groups.", bound=MAX_ROWS)
    return rows


def _sketch_states(
    layout: Layout, statement: Statement, sizes: Sequence[int], cells_of: Sequence[list[int] | None], counts_of: Sequence[list[int] | None]
) -> dict[str, Any]:
    """Two arrays per group, cells and counts, as sorted states for every measure that is answered from this sketch."""
    if sum(sizes) > MAX_CELLS:
        raise TooManyCells(f"The sketch of {statement.sketch.field!r} has more than {MAX_CELLS} cells." if statement.sketch else "", bound=MAX_CELLS)
    cells, counts = (pa.array([part or [] for part in column], pa.list_(pa.int64())) for column in (cells_of, counts_of))
    owner = np.repeat(np.arange(len(cells)), np.diff(np.asarray(cells.offsets)))
    order = np.lexsort((np.asarray(cells.values), owner))
    offsets = offsets_of(owner, len(cells)).astype(np.int32)
    cell, number = np.asarray(cells.values)[order].astype(np.int32), np.asarray(counts.values)[order]
    total = np.zeros(len(cells), dtype=np.int64)
    np.add.at(total, owner, number)
    states: dict[str, Any] = {}
    for measure in layout.measures:
        if statement.sketch is None or (measure.fn, measure.field) != (statement.sketch.fn, statement.sketch.field):
            continue
        if measure.fn == "quantile":
            states |= {f"{measure.name}.count": total, f"{measure.name}.buckets": pa.MapArray.from_arrays(offsets, cell, number).cast(BUCKETS)}
        else:
            states[f"{measure.name}.registers"] = pa.ListArray.from_arrays(offsets, cell).cast(REGISTERS)
    return states
