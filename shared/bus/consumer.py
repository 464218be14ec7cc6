"""Reads the streams of others and lets each event take effect once: one active consumer per service, in the order of each subject."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError
from redis.exceptions import ResponseError
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from shared.bus.deadletters import requested, settle
from shared.bus.delivery import Delivery, Displaced
from shared.bus.entries import Entry, Fault, read_entry
from shared.bus.handlers import Handlers
from shared.bus.held import Held
from shared.bus.link import Command, Link, open_link
from shared.bus.measures import HELD, report, states
from shared.database import driver_url
from shared.streams import stream_name

if TYPE_CHECKING:
    from shared.runtime import Runtime

BATCH = 100
HELD_LIMIT = 5000
HELD_BYTES = 32 * 1024 * 1024
"""Entries in memory behind failing ones; at either limit nothing new is read until some are dealt with."""
BLOCK_S = 1.0
BUSY_S = 4.0
"""How much longer replays may wait while events come in."""
PURGE_S = 600.0
BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
CONSUMER_LOCK = (0x4C44, 2)
SESSION_SETTINGS = {
    "timezone": "UTC",
    "idle_session_timeout": "30000",  # a process that is stopped, or whose machine vanished, gives up the lock
    "idle_in_transaction_session_timeout": "60000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_LOCK = text("SELECT pg_try_advisory_lock(:kind, :part)").bindparams(kind=CONSUMER_LOCK[0], part=CONSUMER_LOCK[1])
_log = structlog.get_logger("bus")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a failing event is tried before it is given up: by default about a minute and a half."""

    attempts: int = 10
    first_s: float = 0.25
    longest_s: float = 30.0
    handler_s: float = 30.0

    def wait(self, attempts: int) -> float:
        """Seconds from a failed attempt, counted from one, to the next."""
        return min(self.first_s * 2.0 ** (attempts - 1), self.longest_s)


PATIENCE = Patience()


async def run_consumers(runtime: Runtime) -> None:
    """Consume until cancelled. Whatever fails is logged and tried again: Redis away or emptied, PostgreSQL restarted, another consumer active."""
    if not runtime.service.on:
        return
    failures = 0
    while True:
        try:
            await _consume(runtime, PATIENCE)
        except Exception as error:  # noqa: BLE001 - the task outlives whatever its servers and handlers do
            failures = 0 if states(runtime.settings.audience).get("consumer") == "ok" else failures + 1
            report(runtime.settings.audience, "consumer", f"waiting: {type(error).__name__}")
            if failures in (0, 20):
                _log.warning("consuming interrupted", error=repr(error))
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])


async def _consume(runtime: Runtime, patience: Patience) -> None:
    """Be the active consumer until something breaks."""
    settings = runtime.settings
    url = driver_url(settings.database_url.get_secret_value())
    limits = {"statement_timeout": str(int(settings.statement_timeout_s * 1000)), "application_name": f"{settings.audience} consumer"}
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 5, "server_settings": SESSION_SETTINGS | limits})
    try:
        async with engine.connect() as connection:
            while not await _locked(connection):
                report(settings.audience, "consumer", "ok")
                await asyncio.sleep(BLOCK_S)
            async with open_link(settings.redis_consume_url) as link:
                consumer = Consumer(runtime, connection, link, patience)
                await consumer.join()
                report(settings.audience, "consumer", "ok")
                await consumer.run()
    finally:
        await engine.dispose()


async def _locked(connection: AsyncConnection) -> bool:
    async with connection.begin():
        return bool((await connection.execute(_LOCK)).scalar_one())


class Consumer:
    """The active consumer of a service, for as long as both its connections hold.

    Group and consumer bear the service's name: whoever holds the lock goes on where the last one stopped.
    """

    def __init__(self, runtime: Runtime, connection: AsyncConnection, link: Link, patience: Patience) -> None:
        settings = runtime.settings
        self._service, self._group, self._patience, self._link = settings.audience, settings.service, patience, link
        handlers = Handlers(runtime.service.on)
        self._handles = handlers.of
        self._streams = {f"{settings.city}/{name}": stream_name(settings.city, name).encode() for name in handlers.sources(settings.services)}
        self._sources = {stream: source for source, stream in self._streams.items()}
        self._delivery = Delivery(runtime, connection, handlers, patience.handler_s)
        self._held = Held()
        self._done: dict[bytes, list[str]] = defaultdict(list)
        self._next_look = self._next_purge = 0.0
        self._idle = True

    async def join(self) -> None:
        """Make the groups where they are missing, from the beginning, and take over what was delivered but never acknowledged."""
        self._held.clear()
        self._done.clear()
        commands = [("XGROUP", "CREATE", stream, self._group, "0", "MKSTREAM") for stream in self._sources]
        for answer in await self._link.ask_all(commands):
            if isinstance(answer, ResponseError) and not str(answer).startswith("BUSYGROUP"):
                raise answer
        for stream in self._sources:
            await self._reclaim(stream)

    async def run(self) -> None:
        """Read and deliver until a connection fails."""
        while True:
            await self._retry()
            await self._look_around()
            HELD.labels(self._service).set(self._held.count)
            found = await self._read()
            self._idle = not found
            for stream, entries in found:
                await self._deliver(self._parse(stream, entries))

    async def _read(self) -> Sequence[tuple[bytes, list[Any]]]:
        """Acknowledge what is done and wait for new entries, in one exchange with Redis."""
        acknowledge: list[Command] = [("XACK", stream, self._group, *ids) for stream, ids in self._done.items() if ids]
        wait = self._pause()
        if self._held.count >= HELD_LIMIT or self._held.bytes >= HELD_BYTES:
            await self._link.ask_all(acknowledge)
            self._done.clear()
            await asyncio.sleep(wait)
            return ()
        options = ("GROUP", self._group, self._group, "COUNT", BATCH, "BLOCK", max(1, int(wait * 1000)))
        read: Command = ("XREADGROUP", *options, "STREAMS", *self._sources, *(">" for _ in self._sources))
        answer = (await self._link.ask_all([*acknowledge, read], blocking_s=wait))[-1]
        self._done.clear()
        if isinstance(answer, ResponseError):
            if not str(answer).startswith(("NOGROUP", "UNBLOCKED")):
                raise answer
            _log.warning("a stream or group is gone; reading from the beginning again", error=str(answer))
            await self.join()
            return ()
        return answer or ()

    def _pause(self) -> float:
        """Seconds until something else than a new entry needs attention."""
        due = self._held.next_due()
        return BLOCK_S if due is None else min(BLOCK_S, max(0.0, due - time.monotonic()))

    def _parse(self, stream: bytes, entries: Sequence[Any]) -> list[Entry]:
        """The entries that somebody here handles; the others are done at once."""
        now, source, found = datetime.now(UTC), self._sources[stream], []
        for entry_id, fields in entries:
            entry = read_entry(source, entry_id, fields, now)
            if entry.fault or (entry.envelope and self._handles(entry.envelope.type)):
                found.append(entry)
            else:
                self._finish(entry)
        return found

    def _finish(self, entry: Entry) -> None:
        self._done[self._streams[entry.source]].append(entry.id)

    async def _deliver(self, entries: Sequence[Entry], *, counted: bool = False) -> None:
        """All in one transaction; if that fails, each in its own, and those that fail are held."""
        ready = [entry for entry in entries if not self._held.add_if_waiting(entry)]
        if not ready:
            return
        try:
            await self._delivery.apply(ready, counted=counted)
        except Exception as error:  # noqa: BLE001 - handlers may raise anything
            if len(ready) == 1:
                await self._failed(ready[0], error)
            else:
                for entry in ready:
                    await self._deliver([entry], counted=counted)
            return
        for entry in ready:
            self._finish(entry)

    async def _failed(self, entry: Entry, error: Exception) -> None:
        """Count a failure of an entry that nobody waits behind yet, and hold its subject back unless it is given up."""
        _log.warning("handling failed", source=entry.source, id=entry.id, event_id=entry.key[1], error=repr(error))
        attempts = await self._delivery.count([entry])
        if not await self._given_up(entry, error, attempts):
            self._held.begin(entry, time.monotonic() + self._patience.wait(attempts))

    async def _given_up(self, entry: Entry, error: Exception | None, attempts: int) -> bool:
        """Whether it was the last attempt, or would never succeed."""
        hopeless = isinstance(error, ValidationError)
        if attempts < self._patience.attempts and not hopeless:
            return False
        fault = Fault("malformed" if hopeless else "failed", (repr(error) if error else "its delivery never came to an end")[:2000])
        await self._delivery.give_up(entry, fault, attempts)
        self._finish(entry)
        _log.error("event given up", source=entry.source, id=entry.id, event_id=entry.key[1], reason=fault.reason, attempts=attempts)
        return True

    async def _retry(self) -> None:
        """Try again what is due, then what waits behind it."""
        for subject in self._held.due(time.monotonic()):
            while entry := self._held.first(subject):
                try:
                    await self._delivery.apply([entry], counted=True)
                    self._finish(entry)
                except Exception as error:  # noqa: BLE001 - handlers may raise anything
                    attempts = await self._delivery.count([entry])
                    if not await self._given_up(entry, error, attempts):
                        self._held.postpone(subject, time.monotonic() + self._patience.wait(attempts))
                        break
                self._held.done(subject)

    async def _reclaim(self, stream: bytes) -> None:
        """Take over what is pending, whoever it was delivered to. One of the entries may have ended the process: so they are counted before,
        and whatever is met again here goes one at a time."""
        cursor = b"0-0"
        while True:
            answer = await self._link.ask("XAUTOCLAIM", stream, self._group, self._group, 0, cursor, "COUNT", BATCH)
            cursor = answer[0]
            entries = self._parse(stream, [claimed for claimed in answer[1] if claimed and claimed[1] is not None])
            sound = [entry for entry in entries if not entry.fault]
            await self._deliver([entry for entry in entries if entry.fault])
            if sound:
                done, begun = await self._delivery.known(sound)
                for entry in sound:
                    if entry.key in done:
                        self._finish(entry)
                await self._take_over([entry for entry in sound if entry.key not in done], alone=bool(begun))
            if cursor == b"0-0":
                return

    async def _take_over(self, entries: Sequence[Entry], *, alone: bool) -> None:
        if alone:
            for entry in entries:
                if not self._held.add_if_waiting(entry):
                    await self._deliver_counted(entry)
        elif entries:
            await self._delivery.count(entries)
            await self._deliver(entries, counted=True)

    async def _deliver_counted(self, entry: Entry) -> None:
        attempts = await self._delivery.count([entry])
        if attempts > self._patience.attempts and await self._given_up(entry, None, attempts):
            return
        try:
            await self._delivery.apply([entry], counted=True)
            self._finish(entry)
        except Displaced:
            raise
        except Exception as error:  # noqa: BLE001 - handlers may raise anything
            if not await self._given_up(entry, error, attempts):
                self._held.begin(entry, time.monotonic() + self._patience.wait(attempts))

    async def _look_around(self) -> None:
        """Once a second: replays that were asked for; now and then: forget what is long past. It also shows whether the session lives.

        While events come in it waits a little: what follows from the first of them is often on its way, and somebody waits for it.
        """
        now = time.monotonic()
        if now < self._next_look + (0.0 if self._idle else BUSY_S):
            return
        self._next_look = now + BLOCK_S
        async with self._delivery.transaction() as session:
            letters = await requested(session)
        for letter in letters:
            try:
                await self._delivery.replay(letter.id, letter.entry)
            except Exception as error:  # noqa: BLE001 - handlers may raise anything
                async with self._delivery.transaction() as session:
                    await settle(session, letter.id, error)
        if now >= self._next_purge:
            self._next_purge = now + PURGE_S
            await self._delivery.purge()
