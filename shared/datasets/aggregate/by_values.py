"""Aggregates grouped in the service: the columns' values leave PostgreSQL as one row of bytes, or are kept from before, and numpy groups them.

Hashing each row into its group costs PostgreSQL more than sending three values of it (docs/adr/0018). Only for what comes out the same:
counts, sums and means of doubles (added in the order of the rows, as PostgreSQL adds them), quantiles; by areas and regular units of time.
Everything else is for `compile_rows`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import ARRAY, Column, ColumnElement, DateTime, Double, FromClause, Table, any_, literal, select
from sqlalchemy import Text as Words
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from shared.area_codes import GB_NATION
from shared.areas import areas
from shared.datasets.aggregate.columns import Dimension, Layout
from shared.datasets.aggregate.compile import condition
from shared.datasets.aggregate.kept_columns import Above, KeptColumns
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.value_columns import Key, Rows, Unusual, read_rows, rows_of
from shared.datasets.aggregate.value_groups import Coding, by_periods, by_texts, microseconds, table_by_values
from shared.datasets.aggregate.zones import BINS, Regular, regular
from shared.datasets.view import View
from shared.threads import worked
from shared.vocabulary import AreaLevel

MOST_VALUES = 1_000_000
"""Rows whose values are read for one question, some 100 bytes each for a moment."""
MOST_BYTES = 200_000_000
"""Tables that take more are grouped by the database, unless their columns are kept."""
_LITTLE = 50_000
"""Rows that are grouped in about a millisecond."""
_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Memory:
    """The columns that a service keeps, and the version of the dataset in the connection's snapshot; None if it has none."""

    columns: KeptColumns
    version: str | None

    def of(self, view: View) -> Memory:
        """For who may see less than everything as if there were no versions: what goes quicker for one, or slower, would say whether anything has changed."""
        return self if view.whole else Memory(self.columns, None)


def of_times_alone(question: Question) -> bool:
    """Whether a question leaves out rows by their times only."""
    return question.filter is None and question.bbox is None and question.datetime is None


async def states_of_kept(connection: AsyncConnection | None, question: Question, layout: Layout, view: View, memory: Memory) -> pa.Table | None:
    """The states of the layout from columns that are kept, or None if there are none, or the question is about more than times.

    Without a connection from what is in memory alone.
    """
    columns = _columns(layout, view)
    if columns is None or not (of_times_alone(question) and view.whole and isinstance(view.source, Table)):
        return None
    if question.from_ or question.until:
        if not (view.time and _is_of(view.columns[view.time.name], view.source, DateTime)):
            return None
        columns = {**columns, ("time", view.time.name): view.columns[view.time.name]}  # type: ignore[dict-item]  # just looked at
    kept = await memory.columns.rows(connection, view.source, memory.version, columns)
    if kept is None:
        return None
    if connection is not None:
        await _above(connection, layout, view, kept.parts, kept.above)
    elif not kept.above.keys() >= set(_levels(layout)):
        return None
    above = kept.above
    try:
        little = sum(rows.count for rows in kept.parts) <= _LITTLE
        return await worked(little, lambda: _table(layout, view, _inside(question, view, kept.parts), above))
    except Unusual:
        return None


async def states_by_values(connection: AsyncConnection, question: Question, layout: Layout, view: View, memory: Memory) -> pa.Table | None:
    """The states of the layout from values that the database sends, or None if it must group them. Raises `TooManyCells` or `NotFinite`."""
    columns = _columns(layout, view)
    if columns is None or not isinstance(view.source, Table) or await memory.columns.bytes_of(connection, view.source, memory.version) > MOST_BYTES:
        return None
    count, sent = await read_rows(connection, columns, condition(question, layout, view), MOST_VALUES)
    memory.columns.has_read(view.source, memory.version, count)
    if not 0 < count <= MOST_VALUES:
        return None
    try:
        parts = [await asyncio.to_thread(rows_of, columns, count, sent)]
        above = await _above(connection, layout, view, parts, {})
        return await asyncio.to_thread(_table, layout, view, parts, above)
    except Unusual:
        return None


def _inside(question: Question, view: View, parts: Sequence[Rows]) -> Sequence[Rows]:
    """The rows within the asked times. Raises `Unusual` if there are none."""
    since, until = (microseconds(end) if end else None for end in (question.from_, question.until))
    if view.time and (since is not None or until is not None):
        parts = [rows for rows in (rows.within(view.time.name, since, until) for rows in parts) if rows.count]
    if not parts:
        raise Unusual
    return parts


def _columns(layout: Layout, view: View) -> Mapping[Key, Column[Any]] | None:
    """The columns that are needed, by kind and field; None if the question is not one of those that come out the same."""
    needed: dict[Key, None] = {}
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
    known = all(_is_of(column, view.source, types[kind]) for (kind, _), column in columns.items())
    return columns if known and layout.dimensions and view.known_at is None else None  # type: ignore[return-value]  # just looked at


def _is_of(column: ColumnElement[Any], table: FromClause, kind: type[TypeEngine[Any]]) -> bool:
    return isinstance(column, Column) and column.table is table and isinstance(column.type, kind)


def _regular(dimension: Dimension, tz: str) -> Regular | None:
    """Where the units of a dimension of time begin; None if it is none, or is cut by more than arithmetic."""
    kind, _, unit = dimension.of.partition(":")
    return regular(tz, unit) if kind == "time" and unit in BINS else None


def _levels(layout: Layout) -> list[AreaLevel]:
    return [AreaLevel(dimension.of.partition(":")[2]) for dimension in layout.dimensions if dimension.of.startswith("area:")]


async def _above(connection: AsyncConnection, layout: Layout, view: View, parts: Sequence[Rows], known: Above) -> Above:
    """For each area code that occurs, the area at each level of the layout that holds it; what was looked up is added to what is known."""
    levels = [level for level in _levels(layout) if level not in known]
    if view.area and levels:
        codes = {code for rows in parts for code in rows.texts(view.area.name).values}
        known |= await _ancestors(connection, codes, levels)
    return known


async def _ancestors(connection: AsyncConnection, codes: Collection[str | None], levels: Collection[AreaLevel]) -> Above:
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

    return {level: {code: one(code, level) for code in codes} for level in levels}


def _table(layout: Layout, view: View, parts: Sequence[Rows], above: Above) -> pa.Table:
    coded: list[Coding] = []
    for dimension in layout.dimensions:
        found = _regular(dimension, layout.tz)
        if found and view.time:
            coded.append(by_periods(view.time.name, parts, found.since, found.origin, BINS[dimension.of.partition(":")[2]]))
        elif view.area:
            coded.append(by_texts(view.area.name, above[AreaLevel(dimension.of.partition(":")[2])]))
    return table_by_values(layout, coded, parts)
