"""What may be forgotten: entries that every group has acknowledged, rows that are old and that the hub has acknowledged."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import asyncpg
from redis.exceptions import ResponseError

from shared.bus.link import Link
from shared.bus.measures import BACKLOG, BACKLOG_AGE, KEPT

KEEP = timedelta(days=7)
"""How long a row is kept at least; a group that was not seen for as long is no longer waited for."""
CARE_S = 5.0
PURGE_S = 60.0
PURGE_BATCH = 10_000
HUB = "hub"

StreamId = tuple[int, int]

_SEEN = "INSERT INTO outbox_groups (name, seen_at) SELECT unnest($1::text[]), now() ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at"
_EXPECTED = "SELECT name FROM outbox_groups WHERE seen_at > now() - $1::interval"
_ACKNOWLEDGE = """
    UPDATE outbox SET acknowledged_at = now()
    WHERE published_at IS NOT NULL AND acknowledged_at IS NULL AND (stream_ms, stream_number) >= ($1, $2) AND (stream_ms, stream_number) < ($3, $4)
"""
_PURGE = """
    DELETE FROM outbox WHERE position IN (
        SELECT position FROM (SELECT position, recorded_at, acknowledged_at FROM outbox ORDER BY position LIMIT $1) AS oldest
        WHERE recorded_at < now() - $2::interval AND acknowledged_at IS NOT NULL)
"""
_BACKLOG = "SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(recorded_at)), 0) AS age FROM outbox WHERE published_at IS NULL"


def parse_id(text: bytes) -> StreamId:
    """`b"1700000000000-3"` as numbers that compare in the stream's order."""
    ms, _, number = text.partition(b"-")
    return int(ms), int(number)


class Retention:
    """Learns from the stream's groups what has arrived, and forgets what nobody needs any more."""

    def __init__(self, audience: str, stream: str, epoch: str, database: asyncpg.Connection, link: Link) -> None:
        self._audience, self._stream, self._epoch, self._database, self._link = audience, stream, epoch, database, link
        self._next_care = self._next_purge = 0.0
        self.restart()

    def restart(self) -> None:
        """Forget what was learned of the stream: it may be another one now."""
        self._acknowledged: StreamId = (0, 0)
        self._trimmed: StreamId = (0, 0)

    async def care(self) -> bool:
        """Do what is due; cheap when nothing is. False if the stream changed under the drainer's watch."""
        if time.monotonic() < self._next_care:
            return True
        self._next_care = time.monotonic() + CARE_S
        if await self._link.ask("GET", self._epoch) is None:
            return False  # Redis was emptied, and nothing has been published since that would have shown it
        floors = await self._floors()
        await self._acknowledge(floors.get(HUB))
        unchanged = await self._trim(floors)
        backlog = await self._database.fetchrow(_BACKLOG)
        BACKLOG.labels(self._audience).set(backlog["waiting"])
        BACKLOG_AGE.labels(self._audience).set(backlog["age"])
        if time.monotonic() >= self._next_purge:
            purged = await self._database.execute(_PURGE, PURGE_BATCH, KEEP)
            if purged != f"DELETE {PURGE_BATCH}":
                self._next_purge = time.monotonic() + PURGE_S
        return unchanged

    async def _floors(self) -> dict[str, StreamId]:
        """For each group, the first identifier that it has not acknowledged."""
        answer, info = await self._link.ask_all([("XINFO", "GROUPS", self._stream), ("XINFO", "STREAM", self._stream)])
        if isinstance(answer, ResponseError):
            if "no such key" in str(answer):
                return {}
            raise answer
        KEPT.labels(self._audience).set(dict(zip(info[::2], info[1::2], strict=True))[b"length"])
        groups = [dict(zip(group[::2], group[1::2], strict=True)) for group in answer]
        summaries = await self._link.ask_all([("XPENDING", self._stream, group[b"name"]) for group in groups])
        return {group[b"name"].decode(): _floor(group, pending) for group, pending in zip(groups, summaries, strict=True)}

    async def _acknowledge(self, floor: StreamId | None) -> None:
        if floor is not None and floor > self._acknowledged:
            await self._database.execute(_ACKNOWLEDGE, *self._acknowledged, *floor)
            self._acknowledged = floor

    async def _trim(self, floors: dict[str, StreamId]) -> bool:
        """Trim below the slowest group, unless one that was there lately is missing: it must find all that is kept."""
        await self._database.execute(_SEEN, sorted(floors))
        expected = {row["name"] for row in await self._database.fetch(_EXPECTED, KEEP)} | {HUB}
        floor = min(floors.values(), default=(0, 0))
        if not expected <= floors.keys() or floor <= self._trimmed:
            return True
        trim = ("XTRIM", self._stream, "MINID", "=", f"{floor[0]}-{floor[1]}")
        answers = await self._link.ask_all([("MULTI",), trim, ("EXEC",), ("WATCH", self._stream)])
        if errors := [answer for answer in answers if isinstance(answer, ResponseError)]:
            raise errors[0]
        self._trimmed = floor
        return answers[2] is not None


def _floor(group: dict[bytes, Any], pending: Any) -> StreamId:
    """XPENDING's summary is (count, first, last, consumers); without pending entries all that was delivered is acknowledged."""
    if isinstance(pending, ResponseError):
        raise pending
    if pending[0]:
        return parse_id(pending[1])
    ms, number = parse_id(group[b"last-delivered-id"])
    return (ms, number + 1)
