"""How many questions the hub takes at once: more are told to come back, so that those it has taken are answered in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from fastapi import Request

from shared.auth import AnyCaller
from shared.errors import TooMany, Unavailable
from shared.threads import LITTLE_ROWS, worked

MOST = 2_000
"""Questions in progress at the hub, those that wait for a source included,"""
MOST_EACH = 1_500
"""and those of one subject."""
MERGES = 2
"""Large answers merged at once: light questions find a thread however many heavy ones wait."""
LARGE = 20_000
"""Groups of all sources together that make an answer large."""
KEPT_FREE = 2
"""Of the streams that a hub gives at once, so many are never all one subject's."""
AGAIN = {"Retry-After": "1"}
Result = TypeVar("Result")


class Crowd:
    """The questions in progress."""

    def __init__(self) -> None:
        self.each: Counter[str] = Counter()
        self.streams: Counter[str] = Counter()
        self._merges = asyncio.Semaphore(MERGES)

    def enter(self, subject: str) -> None:
        """Take one more question, or raise `Unavailable` (503) or, if it is this subject that asks so much, `TooMany` (429)."""
        if self.each[subject] >= MOST_EACH:
            raise TooMany(f"{self.each[subject]} of your questions are in progress.", headers=AGAIN)
        if self.each.total() >= MOST:
            raise Unavailable(f"{MOST} questions are in progress.", headers=AGAIN)
        self.each[subject] += 1

    def leave(self, subject: str) -> None:
        self.each[subject] -= 1
        if not self.each[subject]:
            del self.each[subject]

    @contextmanager
    def streaming(self, subject: str, places: int) -> Iterator[None]:
        """One more stream of this subject, or `TooMany`: who reads slowly keeps a place for minutes, and some must be left for others."""
        most = max(1, places - KEPT_FREE)
        if self.streams[subject] >= most:
            raise TooMany(f"{most} streams of yours are under way; read them to their end, or leave them.", headers={"Retry-After": "5"})
        self.streams[subject] += 1
        try:
            yield
        finally:
            self.streams[subject] -= 1
            if not self.streams[subject]:
                del self.streams[subject]

    async def worked_on(self, groups: int, work: Callable[..., Result], *given: Any) -> Result:
        """The result of work, in a thread unless it is little; large answers take turns."""
        if groups < LARGE:
            return await worked(groups <= LITTLE_ROWS, work, *given)
        async with self._merges:
            return await asyncio.to_thread(work, *given)


async def admitted(request: Request, caller: AnyCaller) -> AsyncIterator[None]:
    """A question in progress, from its arrival until its answer has left."""
    crowd: Crowd = request.app.state.runtime.own.crowd
    crowd.enter(caller.subject)
    streams = request.query_params.get("stream") == "true"
    try:
        with crowd.streaming(caller.subject, request.app.state.runtime.settings.streams_at_once) if streams else nullcontext():
            yield
    finally:
        crowd.leave(caller.subject)
