"""Many groups in one row: each column of an aggregate as one piece of bytes, written by PostgreSQL's own send functions and read as an array.

A driver makes an object of every value; for tens of thousands of groups that took longer than grouping a million rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Boolean, ColumnElement, Date, DateTime, Double, Select, cast, func, literal_column, select
from sqlalchemy import Text as Words

EPOCH_US, EPOCH_DAYS = 946_684_800_000_000, 10_957
"""From 1970 to 2000, where PostgreSQL's times begin."""
_FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""The years 1 to 9999; infinities and times beyond are brought to their ends."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A column to be packed: its Arrow type, or None for bytes of any length that stay bytes."""

    type: pa.DataType | None
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Bytes:
    """The bytes of all rows one after another, and how many each has."""

    lengths: NDArray[np.int64]
    data: bytes


def packed(rows: Select[Any], columns: Sequence[Packed]) -> Select[Any]:
    """One row: the number of rows, then what `unpacked` reads."""
    source = rows.subquery("packed")
    parts: list[ColumnElement[Any]] = [func.count()]
    for column, value in zip(columns, source.c, strict=True):
        parts += [_joined(part) for part in _parts(column, value)]
    return select(*parts).select_from(source)


def unpacked(found: Sequence[Any], columns: Sequence[Packed]) -> tuple[int, list[Any]]:
    """The number of rows, and each column as an Arrow array, or as `Bytes`."""
    count, pieces = int(found[0]), iter(piece or b"" for piece in found[1:])
    return count, [_read(column, count, pieces) for column in columns]


def _joined(part: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.string_agg(part, literal_column("''::bytea"))


def _parts(column: Packed, value: ColumnElement[Any]) -> Iterator[ColumnElement[Any]]:
    """Byte strings by which the values of a column can be told: nulls, lengths where they differ, values."""
    if column.nullable and column.type is not None:
        yield func.boolsend(value.is_(None))
    kind = column.type
    if kind is None:
        yield func.int8send(cast(func.coalesce(func.octet_length(value), 0), BigInteger))
        yield func.coalesce(value, literal_column("''::bytea"))
    elif pa.types.is_string(kind):
        text = func.coalesce(cast(value, Words), literal_column("''"))
        yield func.int8send(cast(func.octet_length(text), BigInteger))
        yield func.textsend(text)
    elif pa.types.is_timestamp(kind):
        yield func.timestamptz_send(func.coalesce(cast(value, DateTime(timezone=True)), literal_column("'epoch'::timestamptz")))
    elif pa.types.is_date(kind):
        yield func.date_send(func.coalesce(cast(value, Date), literal_column("'epoch'::date")))
    elif pa.types.is_boolean(kind):
        yield func.boolsend(func.coalesce(cast(value, Boolean), literal_column("false")))
    elif pa.types.is_floating(kind):
        yield func.float8send(func.coalesce(cast(value, Double), literal_column("0")))
    else:
        yield func.int8send(func.coalesce(cast(value, BigInteger), literal_column("0")))


def _read(column: Packed, count: int, pieces: Iterator[bytes]) -> Any:
    if column.type is None:
        return Bytes(np.frombuffer(next(pieces), ">i8").astype(np.int64), next(pieces))
    nulls = np.frombuffer(next(pieces), np.bool_) if column.nullable else np.zeros(count, np.bool_)
    values = _values(column.type, count, pieces)
    return pc.if_else(pa.array(nulls), pa.scalar(None, column.type), values) if nulls.any() else values


def _values(kind: pa.DataType, count: int, pieces: Iterator[bytes]) -> Any:
    if pa.types.is_string(kind):
        offsets = np.concatenate(([0], np.cumsum(np.frombuffer(next(pieces), ">i8")))).astype(np.int64)
        return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(next(pieces))).cast(pa.string())
    data = next(pieces)
    if pa.types.is_timestamp(kind):
        moments = np.clip(np.frombuffer(data, ">i8").astype(np.int64), _FIRST_US - EPOCH_US, LAST_US - EPOCH_US) + EPOCH_US
        return pa.array(moments).cast(kind)
    if pa.types.is_date(kind):
        days = np.clip(np.frombuffer(data, ">i4").astype(np.int64), _FIRST_DAY - EPOCH_DAYS, _LAST_DAY - EPOCH_DAYS) + EPOCH_DAYS
        return pa.array(days.astype(np.int32)).cast(kind)
    if pa.types.is_boolean(kind):
        return pa.array(np.frombuffer(data, np.bool_))
    return pa.array(np.frombuffer(data, ">f8" if pa.types.is_floating(kind) else ">i8").astype(np.float64 if pa.types.is_floating(kind) else np.int64))
