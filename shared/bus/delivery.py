"""Lets entries take effect: processed ids, handlers and dead letters in one transaction, on the session that holds the lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Interval, Text, bindparam, column, delete, func, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from shared import log
from shared.bus.entries import PAYLOAD_LIMIT, PROCESSED_KEEP, Entry, Fault
from shared.bus.handlers import Handlers
from shared.bus.journal import Journal
from shared.bus.measures import CONSUMED, DEAD_LETTERS, LAG
from shared.bus.tables import dead_letters, delivery_attempts, processed

if TYPE_CHECKING:
    from shared.runtime import Runtime

PURGE_BATCH = 10_000
_given = (
    func.unnest(bindparam("sources", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Text)))
    .table_valued(column("source", Text), column("event_id", Text), name="given")
    .render_derived()
)
_TAKE = insert(processed).from_select(["source", "event_id"], select(_given)).on_conflict_do_nothing().returning(processed.c.source, processed.c.event_id)
_KNOWN = select(processed.c.source, processed.c.event_id).where(tuple_(processed.c.source, processed.c.event_id).in_(select(_given)))

_attempts_key = tuple_(delivery_attempts.c.source, delivery_attempts.c.event_id)
_PURGE = text("DELETE FROM processed WHERE ctid = ANY (ARRAY(SELECT ctid FROM processed WHERE processed_at < now() - :keep LIMIT :batch))").bindparams(
    bindparam("keep", type_=Interval)
)


class Displaced(Exception):
    """The session that held the lock is gone, so somebody else may be the active consumer now."""


class Delivery:
    """What the active consumer does in its database, for as long as its session lives."""

    def __init__(self, runtime: Runtime, connection: AsyncConnection, handlers: Handlers, patience_s: float) -> None:
        self._runtime, self._connection, self._handlers, self._patience_s = runtime, connection, handlers, patience_s
        self._service = runtime.settings.audience

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction on the session that holds the lock: whoever lost the lock cannot commit."""
        if self._connection.invalidated or self._connection.closed:
            raise Displaced
        session = AsyncSession(self._connection, expire_on_commit=False, info={"runtime": self._runtime, "kept": []})
        async with session, session.begin():
            yield session
        for journal, kept in session.info["kept"]:
            journal.kept(self._runtime, kept)

    async def apply(self, entries: Sequence[Entry], *, counted: bool = False) -> None:
        """Let all of them take effect, or raise what a handler raised, with no effect. `counted`: they have rows in `delivery_attempts`."""
        if not counted and (journal := self._journal(entries)):
            await self._keep(journal, entries)
            self._measure(entries)
            return
        async with self.transaction() as session:
            await _bury(session, [(entry, entry.fault, 0) for entry in entries if entry.fault])
            sound = [entry for entry in entries if not entry.fault]
            fresh = await _take(session, sound)
            for entry in sound:
                if entry.key in fresh:
                    fresh.discard(entry.key)
                    await self._handle(entry, session)
            if counted:
                await _forget_attempts(session, sound)
        self._measure(entries)

    async def known(self, entries: Sequence[Entry]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        """Keys of the entries that have taken effect before, and of those that have been counted before."""
        counted = select(delivery_attempts.c.source, delivery_attempts.c.event_id).where(_attempts_key.in_(select(_given)))
        async with self.transaction() as session:
            found = [await session.execute(statement, _keys(entries)) for statement in (_KNOWN, counted)]
            done, begun = ({(row.source, row.event_id) for row in rows} for rows in found)
        return done, begun

    async def count(self, entries: Sequence[Entry]) -> int:
        """Remember one more delivery of each entry; the most that any of them has had."""
        counted = insert(delivery_attempts).from_select(["source", "event_id", "attempts"], select(_given, literal(1)).distinct())
        again = {"attempts": delivery_attempts.c.attempts + 1, "last_at": func.now()}
        statement = counted.on_conflict_do_update(index_elements=["source", "event_id"], set_=again).returning(delivery_attempts.c.attempts)
        async with self.transaction() as session:
            return int(max((await session.execute(statement, _keys(entries))).scalars()))

    async def give_up(self, entry: Entry, fault: Fault, attempts: int) -> None:
        """Put an entry among the dead letters; it does not come back unless it is replayed."""
        async with self.transaction() as session:
            if await _take(session, [entry]):
                await _bury(session, [(entry, fault, attempts)])
            await _forget_attempts(session, [entry])
        DEAD_LETTERS.labels(self._service, fault.reason).inc()
        CONSUMED.labels(self._service, entry.source, "dead").inc()

    async def replay(self, letter: int, entry: Entry) -> None:
        """Handle a dead letter now, once; raises what a handler raises."""
        async with self.transaction() as session:
            mark = dead_letters.update().where(dead_letters.c.id == letter, dead_letters.c.replayed_at.is_(None)).values(replayed_at=func.now())
            if (await session.execute(mark.returning(dead_letters.c.id))).scalar_one_or_none() is not None:
                await self._handle(entry, session)

    async def purge(self) -> None:
        """Forget what took effect so long ago that it could not come again."""
        async with self.transaction() as session:
            await session.execute(_PURGE, {"keep": PROCESSED_KEEP, "batch": PURGE_BATCH})

    def _journal(self, entries: Sequence[Entry]) -> Journal | None:
        """The journal that is all that these entries need, if that is so."""
        kinds = {entry.envelope.type for entry in entries if entry.envelope and not entry.fault}
        return None if any(entry.fault for entry in entries) else self._handlers.journal(kinds)

    async def _keep(self, journal: Journal, entries: Sequence[Entry]) -> None:
        """One statement is the whole transaction, on the session that holds the lock."""
        if self._connection.invalidated or self._connection.closed:
            raise Displaced
        driver = (await self._connection.get_raw_connection()).driver_connection
        kept = await journal.write(driver, entries, journal.taking)
        journal.kept(self._runtime, kept)

    async def _handle(self, entry: Entry, session: AsyncSession) -> None:
        envelope = entry.envelope
        if envelope is None:
            raise ValueError("the payload is not a CloudEvent")
        log.traceparent.set(log.new_traceparent(envelope.traceparent))
        for handler, expected in self._handlers.of(envelope.type):
            if isinstance(handler, Journal):
                await self._keep_too(handler, entry, session)
            else:
                async with asyncio.timeout(self._patience_s):
                    await handler(envelope, expected.from_envelope(envelope) if expected else None, session)

    async def _keep_too(self, journal: Journal, entry: Entry, session: AsyncSession) -> None:
        """Beside other handlers, in their transaction."""
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        kept = await journal.write(driver, [entry], journal.plain)
        session.info["kept"].append((journal, kept))

    def _measure(self, entries: Sequence[Entry]) -> None:
        now = datetime.now(UTC)
        for entry in entries:
            if entry.fault:
                DEAD_LETTERS.labels(self._service, entry.fault.reason).inc()
            elif entry.envelope:
                LAG.labels(self._service, entry.source).set((now - entry.envelope.time).total_seconds())
            CONSUMED.labels(self._service, entry.source, entry.fault.reason if entry.fault else "taken").inc()


def _keys(entries: Sequence[Entry]) -> dict[str, list[str]]:
    return {"sources": [entry.key[0] for entry in entries], "ids": [entry.key[1] for entry in entries]}


async def _take(session: AsyncSession, entries: Sequence[Entry]) -> set[tuple[str, str]]:
    """Write the keys into `processed`; those that were not there before."""
    if not entries:
        return set()
    return {(row.source, row.event_id) for row in await session.execute(_TAKE, _keys(entries))}


async def _bury(session: AsyncSession, given_up: Sequence[tuple[Entry, Fault, int]]) -> None:
    rows = [
        {
            "source": entry.source,
            "entry": entry.id,
            "event_id": entry.envelope and entry.envelope.id,
            "type": entry.envelope and entry.envelope.type,
            "subject": entry.envelope and entry.envelope.subject,
            "reason": fault.reason,
            "error": fault.detail,
            "attempts": attempts,
            "payload": entry.payload[:PAYLOAD_LIMIT].decode(errors="replace").replace("\0", "\ufffd"),
        }
        for entry, fault, attempts in given_up
    ]
    if rows:
        await session.execute(insert(dead_letters).on_conflict_do_nothing(), rows)


async def _forget_attempts(session: AsyncSession, entries: Sequence[Entry]) -> None:
    await session.execute(delete(delivery_attempts).where(_attempts_key.in_(select(_given))), _keys(entries))
