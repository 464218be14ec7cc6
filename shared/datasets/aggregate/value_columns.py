"""Columns of values in memory, read from the bytes that PostgreSQL sends one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.packing import EPOCH_US, LAST_US
from shared.datasets.aggregate.problems import NotFinite

Kind = Literal["text", "time", "number"]
Key = tuple[Kind, str]
"""Kind and name of a field."""
DELIMITER, NO_TEXT = 1, "\x02"
_NO_TIME, _NO_NUMBER = -(2**63) + 1, 0x7FF8000000000001
_NOTHING: ColumnElement[bytes] = literal_column("''::bytea")
_SENT: Mapping[Kind, tuple[Any, ColumnElement[Any]]] = {
    "text": (func.textsend, literal_column("E'\\x02'")),
    "time": (func.timestamptz_send, literal_column("'\\x8000000000000001'::bytea")),
    "number": (func.float8send, literal_column("'\\x7ff8000000000001'::bytea")),
}
"""How a value is sent, and what is sent for none: no area code is a control character, no time and no computed double has these bits."""
Integers = NDArray[np.int64]


class Unusual(Exception):  # nothing is wrong: the database groups such values
    """Values that the arithmetic here does not cover."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text for each row, by its place among the distinct ones."""

    places: NDArray[np.int32]
    values: tuple[str | None, ...]

    def of(self, rows: NDArray[np.bool_]) -> Texts:
        return Texts(self.places[rows], self.values)

    @property
    def nbytes(self) -> int:
        return int(self.places.nbytes)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number for each row, and where there is one (None: everywhere). Times are microseconds since 1970."""

    values: NDArray[Any]
    there: NDArray[np.bool_] | None

    def of(self, rows: NDArray[np.bool_]) -> Numbers:
        return Numbers(self.values[rows], None if self.there is None else self.there[rows])

    @property
    def known(self) -> NDArray[Any]:
        """The numbers that there are."""
        return self.values if self.there is None else self.values[self.there]

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes) + (0 if self.there is None else int(self.there.nbytes))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows, column by column."""

    count: int
    columns: Mapping[Key, Texts | Numbers]

    def texts(self, name: str) -> Texts:
        return self.columns["text", name]  # type: ignore[return-value]  # of this kind

    def times(self, name: str) -> Numbers:
        return self.columns["time", name]  # type: ignore[return-value]  # of this kind

    def numbers(self, name: str) -> Numbers:
        return self.columns["number", name]  # type: ignore[return-value]  # of this kind

    def within(self, name: str, since: int | None, until: int | None) -> Rows:
        """The rows whose time lies at or after `since` and before `until`."""
        time = self.times(name)
        known = time.known
        covered = time.there is None and (since is None or int(known.min()) >= since) and (until is None or int(known.max()) < until)
        if (since is None and until is None) or covered:
            return self
        inside = np.ones(self.count, np.bool_) if time.there is None else time.there.copy()
        if since is not None:
            inside &= time.values >= since
        if until is not None:
            inside &= time.values < until
        return Rows(int(np.count_nonzero(inside)), {key: column.of(inside) for key, column in self.columns.items()})


async def read_rows(connection: AsyncConnection, columns: Mapping[Key, Column[Any]], where: ColumnElement[bool], most: int) -> tuple[int, Sequence[bytes]]:
    """How many rows there are and the bytes of their columns, for `rows_of`; at most one row more than `most`."""
    rows = select(*columns.values()).where(where).limit(most + 1).subquery("taken")
    sent = [_joined(kind, rows.c[column.key], nullable=bool(column.nullable)) for (kind, _), column in columns.items()]
    found = (await connection.execute(select(func.count(), *sent).select_from(rows))).one()
    return int(found[0]), found[1:]


def rows_of(columns: Mapping[Key, Column[Any]], count: int, sent: Sequence[bytes]) -> Rows:
    """The columns of at least one row. Raises `Unusual` or `NotFinite`."""
    return Rows(count, {key: _READ[key[0]](data, count) for key, data in zip(columns, sent, strict=True)})


def _joined(kind: Kind, column: ColumnElement[Any], *, nullable: bool) -> ColumnElement[Any]:
    """All values of a column as bytes, one after another, in the order of the rows."""
    send, none = _SENT[kind]
    if kind == "text":
        texts = func.string_agg(func.coalesce(column, none) if nullable else column, literal_column("E'\\x01'"))
        return func.textsend(texts)
    return func.string_agg(func.coalesce(send(column), none) if nullable else send(column), _NOTHING)


def texts_of(data: bytes, count: int) -> Texts:
    """Texts with a delimiter between them. Raises `Unusual` if one of them has it inside."""
    width, rest = divmod(len(data) + 1, count)
    raw = np.frombuffer(data, np.uint8)
    if not rest and width > 1 and bool((raw[width - 1 :: width] == DELIMITER).all()) and int((raw == DELIMITER).sum()) == count - 1:
        same = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), count, [None, pa.py_buffer(data + b"\x01")]).dictionary_encode()
        distinct = [text[:-1].decode() for text in same.dictionary.to_pylist()]
    else:
        ends = np.flatnonzero(raw == DELIMITER)
        if len(ends) != count - 1:
            raise Unusual
        offsets = np.concatenate(([0], ends - np.arange(count - 1), [len(data) - count + 1])).astype(np.int64)
        whole = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(raw[raw != DELIMITER].tobytes()))
        same = pc.dictionary_encode(whole)
        distinct = same.dictionary.to_pylist()
    return Texts(np.asarray(same.indices), tuple(None if text == NO_TEXT else text for text in distinct))


def times_of(data: bytes, count: int) -> Numbers:
    """Microseconds since 1970. Raises `Unusual` for infinite ones and those after the year 9999."""
    sent = np.frombuffer(data, ">i8", count).astype(np.int64)
    if sent.max() > LAST_US - EPOCH_US or sent.min() == np.iinfo(np.int64).min:
        raise Unusual
    there = sent != _NO_TIME
    sent += EPOCH_US
    return Numbers(sent, None if there.all() else there)


def values_of(data: bytes, count: int) -> Numbers:
    """Doubles. Raises `NotFinite`."""
    values = np.frombuffer(data, ">f8", count).astype(np.float64)
    finite = np.isfinite(values)
    if finite.all():
        return Numbers(values, None)
    missing = np.frombuffer(data, ">u8", count) == _NO_NUMBER
    if not (finite | missing).all():
        raise NotFinite("A value is infinite or no number.")
    return Numbers(np.where(missing, 0.0, values), ~missing)


_READ: Mapping[Kind, Callable[[bytes, int], Texts | Numbers]] = {"text": texts_of, "time": times_of, "number": values_of}
