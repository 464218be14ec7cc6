"""Whole tables in blocks of pages: each column's values of a block leave PostgreSQL as one piece of bytes, which numpy reads as an array.

For rows that the database would read the whole table for, in no order. All others go row by row (`bulk_sql.rows_statement`), where the
driver looks at every value: that costs a service ten times as much.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Double,
    Enum,
    Integer,
    Select,
    SmallInteger,
    String,
    Table,
    cast,
    func,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.packing import EPOCH_DAYS, EPOCH_US
from shared.datasets.bulk_sql import as_text
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View

LEAST_BYTES = 8 * 1024 * 1024
"""Smaller tables are not worth asking how they would be read."""
BLOCK_PAGES = 512
"""Pages whose rows travel together: 4 MiB of the table."""
MOST_BATCH = 4 * 1024 * 1024
"""About the most bytes of a batch: values in a page may be compressed."""
_DELIMITER, _NULL = b"\xff", b"\xfe"
"""Bytes that no UTF-8 has."""
_SOUND = text(
    "SELECT relkind = 'r' AND NOT relhassubclass AND pg_relation_size(oid) >= :least AND (reltoastrelid = 0 OR pg_relation_size(reltoastrelid) = 0)"
    " AND relam = (SELECT oid FROM pg_am WHERE amname = 'heap') FROM pg_class WHERE oid = to_regclass(:name)"
)
"""A table of its own, large enough, whose values are all in its pages."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the values of a type are sent: PostgreSQL's function, numpy's type of what it gives, and what that is as Arrow."""

    send: Any
    sent: np.dtype[Any]
    made: Callable[..., Any] = pa.array


_KINDS: Sequence[tuple[type[Any], _Kind]] = (
    (SmallInteger, _Kind(func.int2send, np.dtype(">i2"))),
    (BigInteger, _Kind(func.int8send, np.dtype(">i8"))),
    (Integer, _Kind(func.int4send, np.dtype(">i4"))),
    (Double, _Kind(func.float8send, np.dtype(">f8"))),
    (Boolean, _Kind(func.boolsend, np.dtype("?"))),
    (Date, _Kind(func.date_send, np.dtype(">i4"), lambda days, mask: pa.array(days + np.int32(EPOCH_DAYS), mask=mask).cast(pa.date32()))),
    (DateTime, _Kind(func.timestamptz_send, np.dtype(">i8"), lambda sent, mask: pa.array(sent + EPOCH_US, mask=mask).cast(pa.timestamp("us", "UTC")))),
)
Columns = Mapping[str, ColumnElement[Any]]


async def block_statement(connection: AsyncConnection, view: View, query: RecordQuery, columns: Columns, rows: str) -> str | None:
    """What `COPY` takes to send these columns in blocks; None where `rows`, the statement for single rows, is better or the only way."""
    if not isinstance(view.source, Table) or query.sorting(view) or query.most is not None or not all(map(_sendable, columns.values())):
        return None
    name = PGDialect().identifier_preparer.format_table(view.source)  # type: ignore[no-untyped-call]  # as it ships
    if not await connection.scalar(_SOUND, {"least": LEAST_BYTES, "name": name}):
        return None
    reading = await _planned(connection, rows)
    if (reading["Plans"][0] if reading["Node Type"] == "Gather" else reading)["Node Type"] != "Seq Scan":
        return None
    statement = as_text(_blocks(name, view.source, query.conditions(view), columns))
    nodes = {node["Node Type"] for node in _within(await _planned(connection, statement))}
    return statement if "Tid Range Scan" in nodes else None


async def rows_of(columns: Columns, arrived: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """The rows in what such a statement gives, in batches as `rows` would have given them."""
    async for batch in arrived:
        for found in batch.to_pylist():
            for rows in _batches(columns, found):
                yield rows


async def _planned(connection: AsyncConnection, statement: str) -> Mapping[str, Any]:
    said = (await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}")).scalar_one()
    plan: Mapping[str, Any] = (json.loads(said) if isinstance(said, str) else said)[0]["Plan"]
    return plan


def _within(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _within(part)


def _blocks(name: str, source: Table, conditions: Sequence[ColumnElement[bool]], columns: Columns) -> Select[Any]:
    """The number of rows of each block, and their values."""
    pages = func.pg_relation_size(func.to_regclass(name)) / cast(func.current_setting("block_size"), BigInteger)
    first = func.generate_series(0, pages, BLOCK_PAGES).table_valued("page").render_derived("_first")
    here = text(f"ctid >= format('(%s,0)', _first.page)::tid AND ctid < format('(%s,0)', _first.page + {BLOCK_PAGES})::tid")
    pieces = [piece.label(label) for name, column in columns.items() for label, piece in _pieces(name, column)]
    block = select(func.count().label("rows"), *pieces).select_from(source).where(*conditions, here).lateral("block")
    return select(*block.c).select_from(first).join(block, true()).where(block.c.rows > 0)


def _kind(column: ColumnElement[Any]) -> _Kind:
    return next(kind for known, kind in _KINDS if isinstance(column.type, known))


def _is_text(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, String)


def _sendable(column: ColumnElement[Any]) -> bool:
    kind = column.type
    if isinstance(kind, String):
        return not isinstance(kind, (Enum, CHAR))
    return kind.timezone if isinstance(kind, DateTime) else any(isinstance(kind, known) for known, _ in _KINDS)


def _nullable(column: ColumnElement[Any]) -> bool:
    return not isinstance(column, Column) or bool(column.nullable)


def _pieces(name: str, column: ColumnElement[Any]) -> Iterator[tuple[str, ColumnElement[Any]]]:
    """The values of a column as bytes; beside them which are null, which texts tell by themselves."""
    send = func.textsend if _is_text(column) else _kind(column).send
    none = _NULL if _is_text(column) else bytes(_kind(column).sent.itemsize)
    value = func.coalesce(send(column), _bytes(none)) if _nullable(column) else send(column)
    yield name, func.string_agg(value, _bytes(_DELIMITER if _is_text(column) else b""))
    if _nullable(column) and not _is_text(column):
        yield f"{name}_null", func.string_agg(func.boolsend(column.is_(None)), _bytes(b""))


def _bytes(value: bytes) -> ColumnElement[bytes]:
    return literal_column(f"decode('{value.hex()}', 'hex')" if value else "NULL::bytea")


def _batches(columns: Columns, found: Mapping[str, Any]) -> Iterator[Any]:
    rows = int(found["rows"])
    arrays = [_array(column, rows, found[name], found.get(f"{name}_null")) for name, column in columns.items()]
    batch = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    step = max(1, rows * MOST_BATCH // max(batch.nbytes, MOST_BATCH))
    for start in range(0, rows, step):
        yield batch.slice(start, step)


def _array(column: ColumnElement[Any], rows: int, data: bytes, nulls: bytes | None) -> Any:
    if _is_text(column):
        return _texts(data, rows)
    kind = _kind(column)
    values = np.frombuffer(data, kind.sent, rows).astype(kind.sent.newbyteorder("="))
    mask = np.frombuffer(nulls, np.bool_, rows) if nulls is not None else None
    return kind.made(values, mask=mask if mask is not None and mask.any() else None)


def _texts(data: bytes, rows: int) -> Any:
    raw = np.frombuffer(data, np.uint8)
    ends: NDArray[np.int64] = np.append(np.flatnonzero(raw == _DELIMITER[0]), len(raw))
    starts = np.concatenate(([0], ends[:-1] + 1))
    absent = np.zeros(rows, np.bool_)
    if _NULL in data:
        absent = (ends > starts) & (raw[np.minimum(starts, len(raw) - 1)] == _NULL[0])
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(ends - starts - absent, out=offsets[1:])
    there = pa.array(~absent).buffers()[1] if absent.any() else None
    return pa.Array.from_buffers(pa.string(), rows, [there, pa.py_buffer(offsets), pa.py_buffer(data.translate(None, _DELIMITER + _NULL))])
