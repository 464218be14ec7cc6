"""Runs the statement of an aggregate and turns its rows into states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import asyncpg
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.compile import Compiled
from shared.datasets.aggregate.packing import Packed, packed, unpacked
from shared.datasets.aggregate.problems import NotFinite, TooManyCells
from shared.datasets.aggregate.question import MAX_ROWS
from shared.datasets.aggregate.sketching import buckets, registers
from shared.threads import LITTLE_ROWS, worked

NEVER_NULL = ("rows", "count", "sum", "mean", "m2")
"""States whose nulls need not be told: counts have none, the others where nothing was counted."""
MAX_CELLS = 2_000_000
"""Most cells (buckets, registers) of one answer, over all groups and sketches."""


async def gather(connection: AsyncConnection, layout: Layout, compiled: Compiled) -> pa.Table:
    """The states of the layout. Raises `TooManyCells` or `NotFinite`."""
    columns = _columns(layout, compiled)
    found = await _row(connection, compiled, columns)
    check_groups(found[0])
    little = not compiled.sketches and found[0] <= LITTLE_ROWS
    return await worked(little, _table, layout, compiled, columns, found)


def check_groups(count: int) -> None:
    """Raise `TooManyCells` if these are more groups than are answered."""
    if count > MAX_ROWS:
        raise TooManyCells(f"The answer has more than {MAX_ROWS} groups.", bound=MAX_ROWS)


def _columns(layout: Layout, compiled: Compiled) -> list[Packed]:
    """What the statement yields: dimensions, number of rows, states; bytes for sketches."""
    schema = layout.schema()
    names = [*schema.names[: len(layout.dimensions)], GROUP_ROWS, *compiled.states]
    plain = [Packed(schema.field(name).type, nullable=name.rpartition(".")[2] not in NEVER_NULL) for name in names]
    return [*plain, *(Packed(None) for _ in compiled.sketches)]


@lru_cache(maxsize=128)
def _kept_packed(rows: Select[Any], columns: tuple[Packed, ...]) -> Select[Any]:
    return packed(rows, columns)


async def _row(connection: AsyncConnection, compiled: Compiled, columns: Sequence[Packed]) -> Any:
    statement = packed(compiled.select, columns) if compiled.values is None else _kept_packed(compiled.select, tuple(columns))
    try:
        return (await connection.execute(statement, compiled.values)).one()
    except DBAPIError as error:
        cause = getattr(error.orig, "__cause__", None)
        if isinstance(cause, asyncpg.NumericValueOutOfRangeError):
            raise NotFinite("A value or a sum is infinite or beyond 64 bits.") from error
        if isinstance(cause, asyncpg.ProgramLimitExceededError):
            raise TooManyCells("There are more values than a sketch can be made of at once.") from error
        raise


def _table(layout: Layout, compiled: Compiled, columns: Sequence[Packed], found: Any) -> pa.Table:
    _, arrays = unpacked(found, columns)
    schema = layout.schema()
    states: dict[str, Any] = dict(zip([*schema.names[: len(layout.dimensions)], GROUP_ROWS, *compiled.states], arrays, strict=False))
    sketches: dict[tuple[str, str | None], Any] = {}
    for sketch, sent in zip(compiled.sketches, arrays[len(arrays) - len(compiled.sketches) :], strict=True):
        sketches[sketch.fn, sketch.field] = buckets(sent) if sketch.fn == "quantile" else registers(sent)
    return table_of(layout, states, sketches)


def table_of(layout: Layout, states: dict[str, Any], sketches: Mapping[tuple[str, str | None], Any]) -> pa.Table:
    """The states of the layout from those that were computed, and the sketches of functions and fields. Raises `TooManyCells`."""
    states = states | {name: states[same] for name, same in layout.computed_as().items()}
    for measure in layout.measures:
        states |= {
            name: _null_where_empty(states[name], states[f"{measure.name}.count"]) for name in measure.states() if name.endswith((".sum", ".mean", ".m2"))
        }
    cells = 0
    for (fn, field), made in sketches.items():
        cells += len(made.keys if fn == "quantile" else made.values)
        same = [measure for measure in layout.measures if (measure.fn, measure.field) == (fn, field)]
        states |= {f"{measure.name}.{'buckets' if fn == 'quantile' else 'registers'}": made for measure in same}
    if cells > MAX_CELLS:
        raise TooManyCells(f"The sketches of quantiles and distinct counts have more than {MAX_CELLS} cells.", bound=MAX_CELLS)
    return pa.table({name: states[name] for name in layout.schema().names})


def _null_where_empty(values: Any, count: Any) -> Any:
    empty = pc.equal(count, 0)
    return pc.if_else(empty, pa.scalar(None, values.type), values) if pc.any(empty).as_py() else values
