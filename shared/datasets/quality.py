"""Looks at a dataset's rows in one pass inside PostgreSQL: at all of a small table, at a sample of pages of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, DateTime, Double, FromClause, Table, and_, exists, func, literal, not_, null, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.areas import areas
from shared.caller import Caller, Clearance
from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.history import changes, noted_names
from shared.datasets.quality_told import GEOMETRY, Counted, Day, Quality
from shared.datasets.view import View, view
from shared.vocabulary import DataGrade, Personal

MOST_PAGES = 1_000
"""Pages of 8 KiB that are looked at: some 60,000 rows, read in a fraction of a second however large the table is."""
MOST_VIEW_ROWS = 20_000
LONGEST_S = 3.0
"""Longest statement."""
PERIOD_S = 0.5
"""The same of those that look for the first and the last moment: with an index it is a matter of milliseconds, without one it may not be worth more."""
RECENT = timedelta(days=30)
NEAR = timedelta(days=1)
_PAGES = text("""
    SELECT coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(CAST(:name AS regclass))), pg_relation_size(CAST(:name AS regclass)))::bigint
        / current_setting('block_size')::int
""")
_TEXT_TYPES = ("string",)
QUERY_CANCELED = "57014"
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")


async def measure(connection: AsyncConnection, dataset: Dataset, city_areas: Sequence[str], now: datetime) -> Quality:
    """What the rows of a dataset are like. `connection` reads; the statements are bounded in time."""
    await connection.execute(select(func.set_config("statement_timeout", str(int(LONGEST_S * 1000)), True)))
    pages = 0 if _is_view(dataset) else (await connection.execute(_PAGES, {"name": dataset.table.name})).scalar_one()
    part = min(1.0, MOST_PAGES / pages) if pages else 1.0
    seen = _all(replace(dataset, table=cast("Table", _sample(dataset, part))), city_areas)
    measured = [column for name, field in seen.fields.items() for column in _counts(dataset, field, seen.columns[name])]
    statement = select(func.count(), *_moments(seen, dataset, now), *_place(seen), *measured).select_from(seen.source).where(seen.rows)
    row = (await connection.execute(statement)).one()
    looked_at, newest, recent, on_time = row[:4]
    fields = {name: Counted(*row[place : place + 2]) for name, place in zip([GEOMETRY, *seen.fields], range(4, len(row), 2), strict=True)}
    if seen.geometry is None:
        del fields[GEOMETRY]
    if dataset.freshness is not None and (part < 1 or dataset.time is None):
        newest = max((moment for moment in (newest, await _newest(connection, dataset, city_areas, now)) if moment), default=None)
    rows = looked_at if part == 1 else round(looked_at / part)
    period = await _period(connection, dataset, city_areas)
    return Quality(computed_at=now, rows=rows, looked_at=looked_at, fields=fields, newest=newest, recent=recent, on_time=on_time, period=period)


def _all(dataset: Dataset, city_areas: Sequence[str]) -> View:
    """The dataset with every field and row that this city answers for."""
    service = dataset.id.partition(".")[0]
    everything = Clearance(DataGrade.IMPORTANT, Personal.SENSITIVE)
    return view(dataset, Caller("quality", service, frozenset({f"{service}:read", f"{service}:audit"}), ("*",), everything), city_areas=city_areas)


def _is_view(dataset: Dataset) -> bool:
    return "made_of" in dataset.table.info


def _sample(dataset: Dataset, part: float) -> FromClause:
    if _is_view(dataset):
        return select(dataset.table).limit(MOST_VIEW_ROWS).subquery(dataset.table.name)
    if part == 1:
        return dataset.table
    return dataset.table.tablesample(func.system(literal(part * 100, Double)), name="sample", seed=literal(20261122))


def _counts(dataset: Dataset, field: Field, column: ColumnElement[Any]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Values that are there, a blank text being none, and those of them that break a rule."""
    there = func.count(func.nullif(func.btrim(column), "")) if field.type in _TEXT_TYPES else func.count(column)
    rules = _broken(dataset, field, column)
    return there, (func.count().filter(or_(*rules)) if rules else literal(0))


def _broken(dataset: Dataset, field: Field, column: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """When a value breaks a rule that its declaration states; never of a value that is not there."""
    rules: list[ColumnElement[bool]] = []
    if field.values:
        rules.append(and_(column.is_not(null()), func.btrim(column) != "", column.not_in(field.values)))
    if field.minimum is not None:
        rules.append(column < literal(field.minimum, Double))
    if field.maximum is not None:
        rules.append(column > literal(field.maximum, Double))
    if field.type == "number" and isinstance(column.type, Double):
        rules.append(column.in_([float(word) for word in _NOT_FINITE]))
    if field.name == dataset.area:
        unknown = not_(exists(select(1).where(areas.c.code == column)))
        rules.append(and_(column.is_not(null()), func.btrim(column) != "", unknown, exists(select(1).select_from(areas))))
    return rules


def _place(seen: View) -> list[ColumnElement[int]]:
    """Rows with a place, and those whose place lies outside the world."""
    if seen.geometry is None:
        return [literal(0), literal(0)]
    first, second = seen.geometry
    if not isinstance(seen.dataset.geometry, Point):
        return [func.count(first), literal(0)]
    outside = or_(not_(first.between(-180, 180)), not_(second.between(-90, 90)))
    return [func.count().filter(first.is_not(null()), second.is_not(null())), func.count().filter(outside)]


def _moments(seen: View, dataset: Dataset, now: datetime) -> list[ColumnElement[Any]]:
    """The newest moment told of, the rows that tell of the last 30 days, and those that were recorded as promptly as promised."""
    column = seen.columns[dataset.time] if dataset.time else None
    if column is None or dataset.freshness is None:
        return [null(), literal(0), literal(0)]
    at = literal(now, DateTime(timezone=True))
    newest = func.max(column).filter(column <= at)
    recorded = seen.dataset.table.c.get("recorded_at")
    if recorded is None:
        return [newest, literal(0), literal(0)]
    recent = column.between(at - RECENT, at)
    return [newest, func.count().filter(recent), func.count().filter(recent, recorded - column <= dataset.freshness)]


async def _period(connection: AsyncConnection, dataset: Dataset, city_areas: Sequence[str]) -> tuple[Day, Day] | None:
    """The first and the last moment, or day, of which a row tells; nothing if there is none, or if finding it takes too long."""
    if dataset.time is None:
        return None
    seen = _all(dataset, city_areas)
    try:
        async with connection.begin_nested():
            await connection.execute(select(func.set_config("statement_timeout", str(int(PERIOD_S * 1000)), True)))
            start, end = [await _outermost(connection, seen, dataset.time, descending=descending) for descending in (False, True)]
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != QUERY_CANCELED:
            raise
        return None
    return (start, end) if start is not None and end is not None else None


async def _outermost(connection: AsyncConnection, seen: View, time: str, *, descending: bool) -> Day | None:
    """The first or last value of the time: looked for in the table alone, since joins would be made for every row, then near there where rights apply."""
    column, plain = seen.columns[time], seen.dataset.table.c.get(seen.fields[time].column or time)
    rows = select(column).select_from(seen.source).where(seen.rows, column.is_not(null())).order_by(column.desc() if descending else column.asc()).limit(1)
    if plain is not None and not _is_view(seen.dataset):
        alone = select(plain).where(plain.is_not(null())).order_by(plain.desc() if descending else plain.asc()).limit(1)
        bound = (await connection.execute(alone)).scalar_one_or_none()
        if bound is None:
            return None
        near = rows.where(column.between(bound - NEAR, bound + NEAR))
        if (found := (await connection.execute(near)).scalar_one_or_none()) is not None:
            return cast("Day", found)
    return cast("Day | None", (await connection.execute(rows)).scalar_one_or_none())


async def _newest(connection: AsyncConnection, dataset: Dataset, city_areas: Sequence[str], now: datetime) -> datetime | None:
    """The newest moment where a sample may have missed it: looked for in the last ten promised spans, or when anything was last recorded."""
    if dataset.time is None:
        statement = select(func.max(changes.c.recorded_at)).where(changes.c.table_name.in_(sorted(noted_names(*dataset.tables))))
        recorded: datetime | None = (await connection.execute(statement)).scalar_one()
        return recorded
    seen, span = _all(dataset, city_areas), max(10 * (dataset.freshness or RECENT), timedelta(days=1))
    column = seen.columns[dataset.time]
    statement = select(func.max(column)).select_from(seen.source).where(seen.rows, column.between(now - span, now))
    newest: datetime | None = (await connection.execute(statement)).scalar_one()
    return newest
