"""Rows of an answer as JSON and CSV: times in the city's zone, integers and decimals with all their digits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from services.hub.sql.problems import SqlFailed
from shared.datasets.formats import as_csv, encode_json

_DAY = {unit: 86_400 * 10**power for unit, power in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9))}
_FIRST, _LAST = (date(1, 1, 2) - date(1970, 1, 1)).days, (date(9999, 12, 31) - date(1970, 1, 1)).days
"""Days from 1970: of any zone's calendar, years have four digits in between."""
Form = str
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "arrow": "application/vnd.apache.arrow.stream"}
ASKED = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "*/*": "json",
    "application/*": "json",
    "text/*": "csv",
}


def columns_of(schema: pa.Schema) -> list[dict[str, Any]]:
    """Names and types of the columns, as the contract has them."""
    return [{"name": part.name, "type": _kind(part.type)} for part in schema]


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return "integer"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind):
        return "datetime"
    return "date" if pa.types.is_date(kind) else "string"


def check_columns(schema: pa.Schema) -> None:
    """Refuse what has no form in a table: lists and structures."""
    for part in schema:
        if pa.types.is_nested(part.type):
            raise SqlFailed(f"The column {part.name[:60]!r} holds lists or structures; cast it to VARCHAR.")


def check_years(batch: pa.RecordBatch) -> None:
    """Refuse times that ISO 8601 has no four digits for, infinite ones among them."""
    for part, column in zip(batch.schema, batch.columns, strict=True):
        if not (pa.types.is_timestamp(part.type) or pa.types.is_date32(part.type)):
            continue
        days = pc.min_max(column.cast(pa.int32() if pa.types.is_date32(part.type) else pa.int64())).as_py()
        most = 1 if pa.types.is_date32(part.type) else _DAY[part.type.unit]
        if days["min"] is not None and not _FIRST * most <= days["min"] <= days["max"] < _LAST * most:
            raise SqlFailed(f"The column {part.name[:60]!r} holds times outside of the years 1 to 9999; Arrow and VARCHAR can tell them.")


def rows_of(batch: pa.RecordBatch) -> list[list[Any]]:
    """The rows of a batch as JSON takes them."""
    check_years(batch)
    return [list(row) for row in zip(*(values_of(column) for column in batch.columns), strict=True)] if batch.num_columns else []


def _text_of(batch: pa.RecordBatch) -> bytes:
    return orjson.dumps(rows_of(batch))[1:-1]


def values_of(column: pa.Array) -> list[Any]:
    kind = column.type
    if pa.types.is_decimal(kind):
        return [None if value is None else orjson.Fragment(format(value, "f")) for value in column.to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return [None if value is None else value.isoformat() for value in column.to_pylist()]
    if pa.types.is_interval(kind):
        return [None if value is None else _span(value) for value in column.to_pylist()]
    return column.to_pylist()  # type: ignore[no-any-return]


def _span(value: Any) -> str:
    """An interval by ISO 8601."""
    seconds = format(Decimal(value.nanoseconds) / 10**9, "f")
    return f"P{value.months}M{value.days}DT{seconds.rstrip('0').rstrip('.') if '.' in seconds else seconds}S"


async def as_json(
    schema: pa.Schema, batches: AsyncIterator[pa.RecordBatch], limit: int, ending: Callable[[int, bool], Mapping[str, Any]]
) -> AsyncIterator[bytes]:
    """`columns`, `rows`, then what is known at the end; `ending` is told how many rows there are and whether some were cut off."""
    yield b'{"columns":' + encode_json(columns_of(schema)) + b',"rows":['
    rows, more = 0, False
    async for batch in batches:
        more = more or rows + batch.num_rows > limit
        part = batch.slice(0, limit - rows)
        if part.num_rows:
            text = await asyncio.to_thread(_text_of, part)
            yield b"," + text if rows else text
            rows += part.num_rows
    yield b"]," + encode_json(ending(rows, more))[1:]


async def as_csv_pieces(
    schema: pa.Schema, batches: AsyncIterator[pa.RecordBatch], limit: int, ending: Callable[[int, bool], Mapping[str, Any]]
) -> AsyncIterator[bytes]:
    """RFC 4180 with a header. It has no place for what is known at the end."""
    yield as_csv(_readable(schema.empty_table()))
    rows, more = 0, False
    async for batch in batches:
        more = more or rows + batch.num_rows > limit
        part = batch.slice(0, limit - rows)
        if part.num_rows:
            yield await asyncio.to_thread(_lines_of, part)
            rows += part.num_rows
    ending(rows, more)


def _lines_of(batch: pa.RecordBatch) -> bytes:
    check_years(batch)
    return as_csv(_readable(pa.Table.from_batches([batch])), header=False)


def _readable(table: pa.Table) -> pa.Table:
    """The table with times and spans as texts."""
    for place, part in enumerate(table.schema):
        kind = part.type
        if pa.types.is_timestamp(kind) or pa.types.is_interval(kind) or pa.types.is_time(kind):
            table = table.set_column(place, part.name, pa.array(values_of(table.column(place)), pa.string()))
        elif pa.types.is_null(kind):
            table = table.set_column(place, part.name, pc.cast(table.column(place), pa.string()))
    return table
