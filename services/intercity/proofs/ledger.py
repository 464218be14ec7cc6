"""The log of exchanges: one writer in order appends what many messages brought, in one transaction; checkpoints sign what it holds."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import rfc8785
import structlog
from sqlalchemy import select as sql_select
from sqlalchemy import text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_sessionmaker

from services.intercity.messages.wire import moment, sign
from services.intercity.models import log_nodes
from services.intercity.peers.keyring import Keyring
from services.intercity.proofs.domain import Place, grown, hash_of, leaf_hash, peaks
from shared.errors import Problem, Unavailable
from shared.events.model import Event
from shared.outbox import record_all

TYP = "liandong-checkpoint+jws"
AT_ONCE = 200
"""Most pieces of work in one transaction."""
WAITING = 5_000
"""Most pieces of work that wait for the writer."""
_LOCK = text("SELECT pg_advisory_xact_lock(7013990)")
_SIZE = text("SELECT coalesce((SELECT number + 1 FROM log_entries ORDER BY number DESC LIMIT 1), 0)")
COLUMNS = ("at", "direction", "kind", "peer", "message", "agreement", "purpose", "operation", "digest", "problem")
_TYPES = {"at": "timestamptz", "number": "bigint", "entry": "bytea", "level": "smallint", "position": "bigint", "hash": "bytea"}
_TYPES |= {"digest of message": "bytea", "expires_at": "timestamptz", "status": "smallint", "answer": "bytea"}
_ENTRY, _NODE = ("number", "entry", *COLUMNS), ("level", "position", "hash")
_ANSWERED = ("peer", "id", "digest", "expires_at", "status", "media_type", "signed", "answer")


def _arrays(names: Sequence[str], first: int = 1) -> str:
    """One array for each column: a statement for any number of rows, prepared once for each connection."""
    return ", ".join(f"${number}::{_TYPES.get(name, 'text')}[]" for number, name in enumerate(names, first))


_CLAIM = f"""
    WITH claimed AS (
        INSERT INTO messages ({", ".join(_ANSWERED)})
        SELECT * FROM unnest({_arrays(["digest of message" if name == "digest" else name for name in _ANSWERED])}) ON CONFLICT DO NOTHING RETURNING peer, id
    )
    SELECT ARRAY(SELECT peer || '/' || id FROM claimed) AS claimed, ({_SIZE.text.removeprefix("SELECT ")}) AS size
"""
"""The ids that were not answered before, and how many entries the log has."""
_APPEND = f"""
    WITH appended AS (INSERT INTO log_entries ({", ".join(_ENTRY)}) SELECT * FROM unnest({_arrays(_ENTRY)}))
    INSERT INTO log_nodes ({", ".join(_NODE)}) SELECT * FROM unnest({_arrays(_NODE, len(_ENTRY) + 1)})
"""
"""Entries and the subtrees that they complete, in one statement."""
_log = structlog.get_logger("proofs")
Change = Callable[[AsyncSession], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the log keeps of a message: references and digests, nothing of its content."""

    direction: Literal["in", "out"]
    kind: Literal["request", "answer", "refusal"]
    peer: str
    digest: str
    message: str | None = None
    agreement: str | None = None
    purpose: str | None = None
    operation: str | None = None
    problem: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in COLUMNS}

    def canonical(self) -> bytes:
        """The bytes of the leaf: canonical JSON."""
        return rfc8785.dumps({name: value for name, value in self.columns().items() if value is not None} | {"at": moment(self.at)})


@dataclass(slots=True)
class Work:
    """What is to be written together: entries, the message that was answered, and what its operation changes."""

    entries: Sequence[Entry]
    answered: Mapping[str, Any] | None = None
    """A row of `messages`; if its id has been answered before, nothing of the work is done."""
    change: Change | None = None
    events: Sequence[Event] = ()
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Ledger:
    """The log's writer in this process; another process waits for its lock, so that entries have one order."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], keys: Keyring, city: str) -> None:
        self._sessions, self._keys, self._city = sessions, keys, city
        self._waiting: asyncio.Queue[Work] = asyncio.Queue(WAITING)
        self._size = 0
        self._frontier: Mapping[Place, bytes] = {}
        self._checkpoint: tuple[int, str, str] | None = None

    async def write(self, work: Work) -> bool:
        """Have it written; False if the message's id had been answered before, whatever it was answered."""
        try:
            self._waiting.put_nowait(work)
        except asyncio.QueueFull:
            raise Unavailable("Too many messages wait for the log.") from None
        return await work.done

    async def run(self) -> None:
        """Write what waits, together, until cancelled."""
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < AT_ONCE and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            try:
                await self._write(batch)
            except asyncio.CancelledError:
                _give_up(batch, Unavailable("The gateway is stopping."))
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it, and the writer goes on
                _log.warning("log not written", error=repr(error), works=len(batch))
                await self._one_by_one(batch, error)

    async def _one_by_one(self, batch: list[Work], error: Exception) -> None:
        """A change that fails must not take the others of its transaction with it."""
        self._frontier, self._size = {}, -1
        if len(batch) == 1:
            _give_up(batch, error)
            return
        for work in batch:
            try:
                await self._write([work])
            except Exception as own:  # noqa: BLE001 - as above
                self._frontier, self._size = {}, -1
                _give_up([work], own)

    async def _write(self, batch: list[Work]) -> None:
        async with self._sessions() as session, session.begin():
            await session.execute(_LOCK)
            driver = await driver_of(session)
            taken, size = await _claim(driver, batch)
            good = [work for work, first in zip(batch, taken, strict=True) if first]
            for work in good:
                if work.change is not None:
                    await work.change(session)
            record_all(session, [event for work in good for event in work.events])
            frontier = self._frontier if size == self._size else await frontier_of(await session.connection(), size)
            grown_to, frontier = await _append(driver, size, frontier, [entry for work in batch for entry in work.entries])
        self._size, self._frontier = grown_to, frontier
        for work, first in zip(batch, taken, strict=True):
            if not work.done.done():
                work.done.set_result(first)

    async def checkpoint(self) -> str:
        """A signed statement of how many entries the log has, and their root (RFC 9162, 4.10); of what this process wrote or read last."""
        if self._size <= 0 and not self._frontier:
            await self.refresh()
        root = root_of(self._size, self._frontier)
        key = self._keys.current.fingerprint
        if self._checkpoint is None or self._checkpoint[:2] != (self._size, key):
            content: dict[str, Any] = {"city": self._city, "size": self._size, "root": base64.b64encode(root).decode(), "time": moment(datetime.now(UTC))}
            self._checkpoint = self._size, key, sign(self._keys, rfc8785.dumps(content), TYP)
        return self._checkpoint[2]

    async def refresh(self) -> int:
        """Read how far the log has come, and say how many entries it has."""
        async with self._sessions() as session, session.begin():
            size = int((await session.execute(_SIZE)).scalar_one())
            if size != self._size:
                self._frontier = await frontier_of(await session.connection(), size)
                self._size = size
        return self._size


def _give_up(batch: Sequence[Work], error: BaseException) -> None:
    for work in batch:
        if not work.done.done():
            work.done.set_exception(error if isinstance(error, Problem) else Unavailable("The log could not be written; nothing was done."))


async def driver_of(asker: AsyncSession | AsyncConnection) -> Any:
    """The driver's connection, for statements of every message: in the transaction under way, if one was begun by a statement before."""
    connection = await asker.connection() if isinstance(asker, AsyncSession) else asker
    return (await connection.get_raw_connection()).driver_connection


async def _claim(driver: Any, batch: Sequence[Work]) -> tuple[list[bool], int]:
    """For each piece of work, whether its message had not been answered before; those of the batch among themselves, too. And the log's size."""
    rows: dict[str, Mapping[str, Any]] = {}
    keys = [f"{work.answered['peer']}/{work.answered['id']}" if work.answered else None for work in batch]
    firsts = []
    for key, work in zip(keys, batch, strict=True):
        firsts.append(key is None or key not in rows)
        if key is not None and work.answered is not None:
            rows.setdefault(key, work.answered)
    if not rows:
        return firsts, int(await driver.fetchval(_SIZE.text))
    made = await driver.fetchrow(_CLAIM, *([row[name] for row in rows.values()] for name in _ANSWERED))
    claimed = set(made["claimed"])
    return [first and (key is None or key in claimed) for key, first in zip(keys, firsts, strict=True)], int(made["size"])


async def _append(driver: Any, size: int, frontier: Mapping[Place, bytes], entries: Sequence[Entry]) -> tuple[int, Mapping[Place, bytes]]:
    if not entries:
        return size, frontier
    leaves = [entry.canonical() for entry in entries]
    made, frontier = grown(size, frontier, [leaf_hash(leaf) for leaf in leaves])
    columns = [[getattr(entry, name) for entry in entries] for name in COLUMNS]
    nodes = [level for level, _ in made], [position for _, position in made], list(made.values())
    await driver.execute(_APPEND, list(range(size, size + len(entries))), leaves, *columns, *nodes)
    return size + len(entries), frontier


async def nodes_at(connection: AsyncConnection, places: Sequence[Place]) -> dict[Place, bytes]:
    """The hashes of complete subtrees, in one query."""
    if not places:
        return {}
    statement = sql_select(log_nodes).where(tuple_(log_nodes.c.level, log_nodes.c.position).in_(places))
    return {(level, position): found for level, position, found in await connection.execute(statement)}


async def frontier_of(connection: AsyncConnection, size: int) -> dict[Place, bytes]:
    """The hashes of `peaks(0, size)`."""
    return await nodes_at(connection, peaks(0, size))


def root_of(size: int, frontier: Mapping[Place, bytes]) -> bytes:
    return hash_of(0, max(size, 0), frontier.__getitem__)
