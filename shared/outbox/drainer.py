"""Publishes what was recorded to the service's stream: one active drainer per database, in the order of each subject."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import structlog
from redis.exceptions import ResponseError
from ulid import ULID

from shared.bus.link import Link, open_link
from shared.bus.measures import PUBLISHED, report
from shared.commits import place, waking
from shared.config import Settings
from shared.outbox.retention import Retention, StreamId, parse_id
from shared.streams import epoch_name, stream_name

if TYPE_CHECKING:
    from shared.runtime import Runtime

BATCH = 500
POLL_S = 1.0
"""How long a commit may go unnoticed whose process died before it could wake anybody."""
BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
UNMARK_S = 3600.0
"""How long it may take to mark a week of events as not published."""
DRAINER_LOCK = (0x4C44, 1)
CHANNEL = "outbox"
SESSION_SETTINGS = {
    "synchronous_commit": "off",  # a mark that is lost means publishing again, which is harmless; what must not be lost says so below
    "idle_session_timeout": "30000",  # a process that is stopped, or whose machine vanished, gives up the lock
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_UNPUBLISHED = "SELECT position, sequence, envelope FROM outbox WHERE published_at IS NULL ORDER BY position LIMIT $1"
_MARK = """
    UPDATE outbox SET published_at = now(), stream_ms = given.ms, stream_number = given.number
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS given (position, ms, number) WHERE outbox.position = given.position
"""
_UNMARK = """
    UPDATE outbox SET published_at = NULL, stream_ms = NULL, stream_number = NULL
    WHERE published_at IS NOT NULL AND (stream_ms, stream_number) > ($1, $2)
"""
_log = structlog.get_logger("outbox")


async def run_drainer(runtime: Runtime) -> None:
    """Publish until cancelled. Whatever fails is logged and tried again: Redis away, PostgreSQL restarted, another drainer active."""
    settings, failures = runtime.settings, 0
    with waking(place(settings.database_url.get_secret_value())) as woken:
        while True:
            try:
                async with _connected(settings) as database:
                    await _stand_by(settings.audience, database, woken)
                    async with open_link(settings.redis_publish_url) as link:
                        drainer = Drainer(settings, database, link)
                        await drainer.synchronise()
                        report(settings.audience, "outbox", "ok")
                        failures = 0
                        await drainer.run(woken)
            except Exception as error:  # noqa: BLE001 - the task outlives whatever its servers do
                report(settings.audience, "outbox", f"waiting: {type(error).__name__}")
                if failures in (0, 20):
                    _log.warning("publishing interrupted", error=repr(error))
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The one session that holds the lock and does all the drainer's work, so that whoever loses the lock can no longer mark."""
    name = {"application_name": f"{settings.audience} drainer"}
    database = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=5, command_timeout=60, server_settings=SESSION_SETTINGS | name)
    try:
        yield database
    finally:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await database.close(timeout=2)


async def _stand_by(service: str, database: asyncpg.Connection, woken: asyncio.Event) -> None:
    """Wait for the lock; until then pass on to the active drainer that this process has committed something."""
    while not await database.fetchval("SELECT pg_try_advisory_lock($1, $2)", *DRAINER_LOCK):
        report(service, "outbox", "ok")
        if await _set_within(woken, POLL_S):
            woken.clear()
            await database.execute(f"NOTIFY {CHANNEL}")


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class Drainer:
    """The active drainer of one database, for as long as both its connections hold.

    It always WATCHes its stream, so nothing can be appended once the stream was emptied or somebody else appended.
    """

    def __init__(self, settings: Settings, database: asyncpg.Connection, link: Link) -> None:
        self._audience, self._schemas = settings.audience, f"{settings.hub_url}/events"
        self._database, self._link = database, link
        self._stream, self._epoch = stream_name(settings.city, settings.service), epoch_name(settings.city, settings.service)
        self._retention = Retention(settings.audience, self._stream, self._epoch, database, link)

    async def synchronise(self) -> None:
        """Find out what Redis has lost since it was published, and let that be published again, in order."""
        self._retention.restart()
        watched, epoch, info = await self._link.ask_all([("WATCH", self._stream), ("GET", self._epoch), ("XINFO", "STREAM", self._stream)])
        for answer in (watched, epoch):
            if isinstance(answer, ResponseError):
                raise answer
        held = _last_id(info) if epoch is not None else (0, 0)
        async with self._database.transaction():
            await self._database.execute("SET LOCAL synchronous_commit = on")  # before the new epoch says that all is well
            lost = int((await self._database.execute(_UNMARK, *held, timeout=UNMARK_S)).split()[-1])
        if lost:
            _log.warning("Redis has lost events; publishing them again", events=lost, emptied=epoch is None)
        if epoch is None:
            await self._link.ask("SET", self._epoch, str(ULID()))

    async def run(self, woken: asyncio.Event) -> None:
        """Publish whatever is committed until a connection fails."""
        await self._database.add_listener(CHANNEL, lambda *_: woken.set())
        while True:
            woken.clear()
            while await self._publish():
                pass
            if not await self._retention.care():
                await self.synchronise()
                woken.set()
            await _set_within(woken, POLL_S)

    async def _publish(self) -> bool:
        """Append one batch and mark it; whether there may be more."""
        rows = await self._database.fetch(_UNPUBLISHED, BATCH)
        if not rows:
            return False
        entries = await self._append([self._wire(row) for row in rows])
        if entries is None:
            await self.synchronise()
            return True
        ids = [parse_id(entry) for entry in entries]
        await self._database.execute(_MARK, [row["position"] for row in rows], [ms for ms, _ in ids], [number for _, number in ids])
        PUBLISHED.labels(self._audience).inc(len(rows))
        return len(rows) == BATCH

    async def _append(self, envelopes: list[bytes]) -> list[bytes] | None:
        """Append all of them or none; None if the stream changed under our watch."""
        appends = [("XADD", self._stream, "*", "event", envelope) for envelope in envelopes]
        answers = await self._link.ask_all([("MULTI",), *appends, ("EXEC",), ("WATCH", self._stream)])
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        entries: list[bytes] | None = answers[-2]
        return entries

    def _wire(self, row: asyncpg.Record) -> bytes:
        envelope: dict[str, Any] = orjson.loads(row["envelope"])
        added = {"source": f"/{self._audience}", "sequence": str(row["sequence"]), "dataschema": f"{self._schemas}/{envelope.get('type')}"}
        return orjson.dumps(envelope | added)


def _last_id(info: Any) -> StreamId:
    """The last identifier that the stream knows, from XINFO STREAM; none if there is no stream."""
    if isinstance(info, ResponseError):
        if "no such key" in str(info):
            return (0, 0)
        raise info
    return parse_id(dict(zip(info[::2], info[1::2], strict=True))[b"last-generated-id"])
