"""Aggregates grouped in the service: the columns' values leave PostgreSQL as one row of bytes, and numpy groups them.

Hashing each row into its group costs PostgreSQL more than sending three values of it (docs/adr/0018). Only for what comes out the same:
counts, sums and means of doubles (added in the order of the rows, as PostgreSQL adds them), quantiles; by areas and regular units of time.
Everything else is for `compile_rows`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import ARRAY, Column, ColumnElement, DateTime, Double, Table, any_, func, literal, literal_column, select
from sqlalchemy import Text as Words
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.area_codes import GB_NATION
from shared.areas import areas
from shared.datasets.aggregate.columns import Dimension, Layout
from shared.datasets.aggregate.compile import condition
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.value_groups import READ, Coded, Unusual, by_periods, by_texts, table_by_values
from shared.datasets.aggregate.zones import BINS, Regular, regular
from shared.datasets.view import View
from shared.vocabulary import AreaLevel

MOST_VALUES = 1_000_000
"""Rows whose values are taken into memory, some 100 bytes each for a moment."""
MOST_BYTES = 200_000_000
"""Tables that take more are grouped by the database."""
_NOTHING: ColumnElement[bytes] = literal_column("''::bytea")
_SENT: Mapping[str, tuple[Any, ColumnElement[Any]]] = {
    "text": (func.textsend, literal_column("E'\\x02'")),
    "time": (func.timestamptz_send, literal_column("'\\x8000000000000001'::bytea")),
    "number": (func.float8send, literal_column("'\\x7ff8000000000001'::bytea")),
}
"""How a value is sent, and what is sent for none: no area code is a control character, no time and no computed double has these bits."""
_DIGITS = re.compile("[0-9]+")


async def states_by_values(connection: AsyncConnection, question: Question, layout: Layout, view: View) -> pa.Table | None:
    """The states of the layout, or None if the database must group them. Raises `TooManyCells` or `NotFinite`."""
    columns = _columns(layout, view)
    if columns is None or not isinstance(view.source, Table):
        return None
    rows = select(*columns.values()).where(condition(question, layout, view)).limit(MOST_VALUES + 1).subquery("taken")
    size = func.pg_relation_size(func.to_regclass(view.source.name))
    if (await connection.scalar(select(size)) or 0) > MOST_BYTES:
        return None
    sent = [_joined(kind, rows.c[column.key], nullable=bool(column.nullable)) for (kind, _), column in columns.items()]
    found: Sequence[Any] = (await connection.execute(select(func.count(), *sent).select_from(rows))).one()
    if not 0 < found[0] <= MOST_VALUES:
        return None
    try:
        read = await asyncio.to_thread(lambda: {key: READ[key[0]](data, found[0]) for key, data in zip(columns, found[1:], strict=True)})
        ancestors: Mapping[AreaLevel, list[str | None]] = {}
        if view.area and ("text", view.area.name) in read:
            ancestors = await _ancestors(connection, read["text", view.area.name].values.to_pylist(), _levels(layout))
        return await asyncio.to_thread(_table, layout, view, read, ancestors)
    except Unusual:
        return None


def _columns(layout: Layout, view: View) -> Mapping[tuple[str, str], Column[Any]] | None:
    """The columns that are needed, by kind and field; None if the question is not one of those that come out the same."""
    needed: dict[tuple[str, str], None] = {}
    for dimension in layout.dimensions:
        if dimension.of.startswith("area:") and view.area:
            needed["text", view.area.name] = None
        elif view.time and view.time.type == "datetime" and _regular(dimension, layout.tz):
            needed["time", view.time.name] = None
        else:
            return None
    for measure in layout.measures:
        if measure.field is not None:
            if measure.fn not in ("count", "sum", "avg", "quantile") or measure.source != "number":
                return None
            needed["number", measure.field] = None
    columns = {key: view.columns[key[1]] for key in needed}
    types = {"text": Words, "time": DateTime, "number": Double}
    known = all(isinstance(column, Column) and column.table is view.source and isinstance(column.type, types[kind]) for (kind, _), column in columns.items())
    return columns if known and layout.dimensions and view.known_at is None else None  # type: ignore[return-value]  # just looked at


def _regular(dimension: Dimension, tz: str) -> Regular | None:
    """Where the units of a dimension of time begin; None if it is none, or is cut by more than arithmetic."""
    kind, _, unit = dimension.of.partition(":")
    return regular(tz, unit) if kind == "time" and unit in BINS else None


def _joined(kind: str, column: ColumnElement[Any], *, nullable: bool) -> ColumnElement[Any]:
    """All values of a column as bytes, one after another, in the order of the rows."""
    send, none = _SENT[kind]
    if kind == "text":
        texts = func.string_agg(func.coalesce(column, none) if nullable else column, literal_column("E'\\x01'"))
        return func.textsend(texts)
    return func.string_agg(func.coalesce(send(column), none) if nullable else send(column), _NOTHING)


def _levels(layout: Layout) -> list[AreaLevel]:
    return [AreaLevel(dimension.of.partition(":")[2]) for dimension in layout.dimensions if dimension.of.startswith("area:")]


async def _ancestors(connection: AsyncConnection, codes: Collection[str | None], levels: Collection[AreaLevel]) -> Mapping[AreaLevel, list[str | None]]:
    """For each code the area at each level that holds it, as `rolled_up` has it."""
    asked = literal([code for code in codes if code is not None], ARRAY(Words))
    found = await connection.execute(select(areas.c.code, *(areas.c[level.value] for level in levels)).where(areas.c.code == any_(asked)))
    known: dict[str, dict[AreaLevel, str | None]] = {code: dict(zip(levels, above, strict=True)) for code, *above in found}

    def one(code: str | None, level: AreaLevel) -> str | None:
        if code in known:
            return known[code][level]
        if code is None or not _DIGITS.fullmatch(code) or len(code) < (level.digits or 0):
            return None
        return code[: level.digits] if level.digits else GB_NATION

    return {level: [one(code, level) for code in codes] for level in levels}


def _table(layout: Layout, view: View, read: Mapping[tuple[str, str], Any], ancestors: Mapping[AreaLevel, list[str | None]]) -> pa.Table:
    coded: list[Coded] = []
    for dimension in layout.dimensions:
        found = _regular(dimension, layout.tz)
        if found and view.time:
            unit = BINS[dimension.of.partition(":")[2]]
            coded.append(by_periods(read["time", view.time.name], found.since, found.origin, unit))
        elif view.area:
            coded.append(by_texts(read["text", view.area.name], ancestors[AreaLevel(dimension.of.partition(":")[2])]))
    return table_by_values(layout, coded, {name: values for (kind, name), values in read.items() if kind == "number"})
