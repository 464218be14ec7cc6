"""Pages of rows: what a records query finds in the database, bounded in rows and in bytes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Date, DateTime, Integer, Select, SmallInteger, Text, Uuid, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.declaration import Point
from shared.datasets.keyset import after, place_of, sorts_of
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View

PAGE_BYTES = 16 * 1024 * 1024
"""A page ends early when its texts pass this; the next page goes on."""
CHUNK = 500
WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a view in order: ids, values of the chosen fields, geometry, and the place where the next page begins."""

    names: Sequence[str]
    ids: list[str]
    rows: list[tuple[Any, ...]]
    geometries: list[Any]
    """(lon, lat), GeoJSON text, or None for each row."""
    next: list[Any] | None
    matched: int | None
    """Number of rows in all pages, where it is known."""
    order: Sequence[Sequence[Any]] = ()
    """The sort values of each row, key last: its place among all rows."""


async def read_page(connection: AsyncConnection, view: View, query: RecordQuery, *, most: int, place: list[Any] | None) -> Page:
    """The rows that meet the query and come after `place`; at most `most` of them."""
    limit = query.limit(most)
    names = query.chosen()
    conditions = query.conditions(view)
    sorts = sorts_of(view, query.sorting(view))
    counted: int | None = None
    if query.counts or query.hits:
        counted = (await connection.execute(select(func.count()).select_from(view.source).where(*conditions))).scalar_one()
    if query.hits:
        return Page(names, [], [], [], None, counted)
    columns = [*view.keys, *_geometry_columns(view), *(view.columns[name] for name in names), *(sort.expression for sort in sorts)]
    statement = _labelled(columns).select_from(view.source).where(*conditions).order_by(*(sort.order() for sort in sorts)).limit(limit + 1)
    if place is not None:
        statement = statement.where(after(sorts, place))
    found, whole = await _fetch(connection, statement, limit)
    following = place_of(found[-1][len(columns) - len(sorts) :]) if found and not whole else None
    page = _page(view, names, found, following, len(found) if whole and place is None else counted)
    return replace(page, order=[row[len(columns) - len(sorts) :] for row in found])


async def read_row(connection: AsyncConnection, view: View, feature_id: str) -> Page:
    """The row with this id as a page of one, or of none."""
    names = list(view.fields)
    keys = key_values(view, feature_id)
    if keys is None:
        return _page(view, names, [], None, 0)
    columns = [*view.keys, *_geometry_columns(view), *(view.columns[name] for name in names)]
    found = (await connection.execute(_labelled(columns).select_from(view.source).where(view.rows, *keys))).all()
    return _page(view, names, [tuple(row) for row in found], None, None)


def key_values(view: View, feature_id: str) -> list[ColumnElement[bool]] | None:
    """The conditions that a feature id states, column by column, so that the key's index serves them; None if it can be no row's."""
    texts = feature_id.rsplit("~", len(view.keys) - 1)
    if len(texts) != len(view.keys):
        return None
    try:
        return [column == literal(_key(column, text), column.type) for column, text in zip(view.keys, texts, strict=True)]
    except (ValueError, OverflowError):
        return None


def _key(column: ColumnElement[Any], text: str) -> Any:
    match column.type:
        case SmallInteger() | Integer():
            bits = 63 if isinstance(column.type, BigInteger) else 15 if isinstance(column.type, SmallInteger) else 31
            if not WHOLE.fullmatch(text) or not -(2**bits) <= (number := int(text)) < 2**bits:
                raise ValueError(text)
            return number
        case DateTime():
            return datetime.fromisoformat(text).astimezone(UTC)
        case Date():
            return date.fromisoformat(text)
        case Uuid():
            return uuid.UUID(text)
    if "\x00" in text:
        raise ValueError(text)
    return text


def _labelled(columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return select(*(column.label(f"c{number}") for number, column in enumerate(columns)))


def _geometry_columns(view: View) -> list[ColumnElement[Any]]:
    if view.geometry is None:
        return []
    first, second = view.geometry
    return [first, second] if isinstance(view.dataset.geometry, Point) else [cast(first, Text)]


async def _fetch(connection: AsyncConnection, statement: Select[Any], limit: int) -> tuple[list[tuple[Any, ...]], bool]:
    """Up to `limit` rows, fewer if they grow too large; and whether these are all."""
    found: list[tuple[Any, ...]] = []
    size = 0
    async with connection.stream(statement) as result:
        async for chunk in result.partitions(CHUNK):
            for row in chunk:
                if len(found) == limit or size > PAGE_BYTES:
                    return found, False
                found.append(tuple(row))
                size += sum(len(value) for value in row if isinstance(value, str))
    return found, True


def _page(view: View, names: Sequence[str], found: list[tuple[Any, ...]], following: list[Any] | None, matched: int | None) -> Page:
    keys = len(view.keys)
    located = keys + len(_geometry_columns(view))
    ids = ["~".join(map(_id_text, row[:keys])) for row in found]
    rows = [row[located : located + len(names)] for row in found]
    geometries = [_geometry(row[keys:located]) for row in found]
    return Page(names, ids, rows, geometries, following, matched)


def _geometry(values: tuple[Any, ...]) -> Any:
    if not values or any(value is None for value in values):
        return None
    return values if len(values) == 2 else values[0]


def _id_text(value: Any) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
