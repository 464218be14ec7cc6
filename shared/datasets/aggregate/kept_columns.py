"""Columns of values kept in memory from one question to the next, for as long as their table does not change.

They are taken once questions of one version have read as many rows as the table has: so whatever is asked, at most twice as much is read as
would have been best, and a table that changes all the time is never taken. A version is exact to the commit (docs/adr/0019), and the rows are
read in the snapshot in which it was looked at. Only what the table's owner does beside the versions (`TRUNCATE`, a restore) is seen later,
after `LONGEST_S` at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, and_, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import pg_catalog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.datasets.aggregate.problems import NotFinite
from shared.datasets.aggregate.value_columns import Kind, Rows, Unusual, read_rows, rows_of
from shared.vocabulary import AreaLevel

IDLE_S = 600.0
"""Columns that nobody has asked for so long are given up."""
LONGEST_S = 900.0
"""No version is trusted for longer, as in the hub: the owner may remove rows without a version."""
_MOST_TABLES = 64
_PAGE_BYTES = 8192
_PART_PAGES = 8192
"""Pages of a table that are read at once, 64 MiB."""
_PART_ROWS = 4_000_000
_WIDTHS: Mapping[Kind, int] = {"text": 4, "time": 9, "number": 9}
"""Bytes of a value in memory, with the mark that it is there."""
Columns = Mapping[tuple[Kind, str], Column[Any]]
Above = dict[AreaLevel, Mapping[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Kept:
    """All rows of a table, some of its columns."""

    parts: tuple[Rows, ...]
    above: Above = field(default_factory=dict)
    """The areas above those that occur, as far as they were asked for."""

    @property
    def bytes(self) -> int:
        return sum(column.nbytes for rows in self.parts for column in rows.columns.values())


@dataclass(slots=True)
class _Known:
    """What is known of a table at one version."""

    version: str
    rows: int
    """As the database believes."""
    bytes: int
    plain: bool
    """Whether its pages can be read in parts."""
    read: int = 0
    """Rows that questions have read."""
    columns: Columns = field(default_factory=dict)
    kept: Kept | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: float = 0.0
    since: float = field(default_factory=time.monotonic)


class KeptColumns:
    """The columns that a service keeps, at most `most_bytes` of them."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._tables: dict[str, _Known] = {}
        self._watched = False

    async def bytes_of(self, connection: AsyncConnection, table: Table, version: str | None) -> int:
        """How much room a table takes; what else is known of it is remembered with the version."""
        known = self._at(table, version)
        if known is None:
            known = await _look_at(connection, table, version or "")
            if version is not None and self._most:
                self._tables[table.name] = known
                self._shrink()
        return known.bytes

    def has_read(self, table: Table, version: str | None, rows: int) -> None:
        """Note how many rows a question has read."""
        if known := self._at(table, version):
            known.read += rows

    def keeps(self, table: Table) -> bool:
        """Whether any columns of the table are kept, of whatever version."""
        known = self._tables.get(table.name)
        return known is not None and known.kept is not None

    async def rows(self, connection: AsyncConnection | None, table: Table, version: str | None, columns: Columns) -> Kept | None:
        """All rows with at least these columns, as of the connection's snapshot, which is of this version; None if they are not kept and not worth it yet.

        Without a connection nothing is read.
        """
        known = self._at(table, version)
        if known is None:
            return None
        if not columns.keys() <= known.columns.keys():
            if connection is None or known.read < known.rows:
                return None
            async with known.turn:
                if known.plain and not columns.keys() <= known.columns.keys():
                    await self._take(connection, table, known, columns)
        if not columns.keys() <= known.columns.keys():  # they could not be taken
            return None
        known.used = time.monotonic()
        return known.kept

    async def _take(self, connection: AsyncConnection, table: Table, known: _Known, columns: Columns) -> None:
        """Read the columns, with those that are kept: rows may have been moved to other pages since."""
        wanted = {**known.columns, **columns}
        wanted = wanted if self._fits(known, wanted) else dict(columns)
        if not self._fits(known, wanted):
            known.plain = False
            return
        try:
            parts = await _read(connection, table, known.bytes, wanted, self._most)
        except (Unusual, NotFinite):  # another question may leave such a row out
            known.plain = False
            return
        except DBAPIError:  # as when the time for a statement is over: those who wait must not try it one after another
            known.plain = False
            raise
        known.kept, known.columns = Kept(parts), wanted
        known.used = time.monotonic()
        self._shrink()
        if not self._watched:
            self._watched = True
            asyncio.get_running_loop().call_later(IDLE_S, self._forget_idle)

    def _fits(self, known: _Known, columns: Columns) -> bool:
        return known.rows * _width(columns) <= self._most

    def _at(self, table: Table, version: str | None) -> _Known | None:
        known = self._tables.get(table.name)
        fresh = known and version is not None and known.version == version and time.monotonic() - known.since < LONGEST_S
        return known if fresh else None

    def _shrink(self) -> None:
        """Give up the tables used longest ago until what is kept fits."""
        oldest = sorted(self._tables, key=lambda name: self._tables[name].used)
        while len(self._tables) > _MOST_TABLES or sum(known.kept.bytes for known in self._tables.values() if known.kept) > self._most:
            del self._tables[oldest.pop(0)]

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for name in [name for name, known in self._tables.items() if known.kept and now - known.used > IDLE_S]:
            del self._tables[name]
        self._watched = any(known.kept for known in self._tables.values())
        if self._watched:
            asyncio.get_running_loop().call_later(IDLE_S, self._forget_idle)


def _width(columns: Columns) -> int:
    return sum(_WIDTHS[kind] for kind, _ in columns)


async def _look_at(connection: AsyncConnection, table: Table, version: str) -> _Known:
    """What the catalogue says of the table; a table that was never counted is taken to have rows of 200 bytes."""
    classes = pg_catalog.pg_class.c
    described = select(func.pg_relation_size(classes.oid), classes.reltuples, classes.relkind).where(classes.oid == func.to_regclass(table.name))
    taken, rows, kind = (await connection.execute(described)).one_or_none() or (0, 0, "")
    return _Known(version, max(int(rows), (taken or 0) // 200), taken or 0, plain=kind in ("r", b"r"))


async def _read(connection: AsyncConnection, table: Table, size: int, columns: Columns, most_bytes: int) -> tuple[Rows, ...]:
    """All rows of a table of some size, some pages at a time. Raises `Unusual` if they take more than `most_bytes`, whatever was believed."""
    page: ColumnElement[Any] = literal_column("ctid")
    starts = range(0, max(size // _PAGE_BYTES, 1), _PART_PAGES)
    parts: list[Rows] = []
    for start in starts:
        first: ColumnElement[bool] = page >= literal_column(f"'({start},0)'::tid") if start else true()
        last: ColumnElement[bool] = page < literal_column(f"'({start + _PART_PAGES},0)'::tid") if start != starts[-1] else true()
        count, sent = await read_rows(connection, columns, and_(first, last), _PART_ROWS)
        taken = (sum(rows.count for rows in parts) + count) * _width(columns)
        if count > _PART_ROWS or taken > most_bytes:
            raise Unusual
        if count:
            parts.append(await asyncio.to_thread(rows_of, columns, count, sent))
    return tuple(parts)
