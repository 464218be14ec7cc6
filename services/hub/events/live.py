"""The newest part of the log in memory, from which every stream of this process reads."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from contextlib import suppress

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.hub.events.domain import Logged
from services.hub.events.log import CHUNK, head, read_log
from shared.service import Runtime

KEPT = 4096
KEPT_BYTES = 16 * 1024 * 1024
"""Events in memory, at most, for a while twice as many: a stream that has fallen further behind is ended and resumes from the database."""
POLL_S = 1.0
"""How late the streams of a second hub process are, whose consumer stands by."""
_log = structlog.get_logger("live")


class Live:
    """Events in the order of the log, without a gap from `floor` on. A stream holds only its own position, so slow readers cost no memory."""

    def __init__(self) -> None:
        self._entries: list[Logged] = []
        self._bytes = 0
        self._changed = asyncio.Event()
        self._behind = asyncio.Event()
        self.begun = asyncio.Event()
        self.floor = self.head = 0
        """All events with a position above `floor` and up to `head` are in memory."""
        self.streams: Counter[str] = Counter()
        """Open streams by subject."""
        self.reading = asyncio.Semaphore(2)
        """Streams that catch up from the database take turns, so that requests find a connection."""

    def begin(self, position: int) -> None:
        """Start with a log that ends at a position."""
        self.floor = self.head = position
        self.begun.set()

    def take(self, logged: Logged) -> None:
        """An event that this process has just committed. If others may have come before it, they are read first."""
        if logged.position == self.head + 1:
            self.append([logged])
        elif logged.position > self.head:
            self._behind.set()

    def append(self, entries: list[Logged]) -> None:
        """Events that follow without a gap; those that are here already are passed over."""
        fresh = [logged for logged in entries if logged.position > self.head]
        if not fresh or not self.begun.is_set():
            return
        self._entries += fresh
        self._bytes += sum(len(logged.envelope) for logged in fresh)
        self.head = fresh[-1].position
        if len(self._entries) >= 2 * KEPT or self._bytes >= 2 * KEPT_BYTES:
            self._forget()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _forget(self) -> None:
        """Drop the oldest until both bounds are kept."""
        dropped = 0
        while len(self._entries) - dropped > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._entries[dropped].envelope)
            dropped += 1
        self.floor = self._entries[dropped - 1].position
        del self._entries[:dropped]

    def after(self, position: int, most: int) -> list[Logged] | None:
        """What follows a position; None if it is so old that the database must be asked."""
        if position < self.floor:
            return None
        first = bisect_right(self._entries, position, key=lambda logged: logged.position)
        return self._entries[first : first + most]

    async def wait(self, position: int, seconds: float) -> None:
        """Until something follows a position, for some seconds at most."""
        changed = self._changed
        if self.head <= position:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()

    async def fallen_behind(self) -> None:
        """Until an event was committed that does not follow directly, or it is time to look what other processes wrote."""
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._behind.wait()
        self._behind.clear()


async def keep_live(runtime: Runtime) -> None:
    """Begin at the end of the log, then fetch what other processes wrote, until cancelled."""
    live: Live = runtime.own.live
    while True:
        try:
            async with runtime.sessions() as session:
                if not live.begun.is_set():
                    live.begin(await head(session))
                while entries := await read_log(session, live.head, CHUNK):
                    live.append(entries)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("the log cannot be read", error=repr(error))
        await live.fallen_behind()
