"""One answer for all who ask the same with the same rights: made once, by one task, however many wait for it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from services.hub.console.domain import AT_MOST_EVERY_S, Moment, still_serves

MOST_KEPT = 64
"""Answers kept, one for each set of rights; the one that was asked for longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Made:
    """A finished answer, as it is sent."""

    moment: Moment
    began: float
    """On the clock of `time.monotonic`."""
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, moment: Moment, began: float, plain: bytes) -> Made:
        return cls(moment, began, plain, gzip.compress(plain, 6, mtime=0), f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"')


class SharedAnswers:
    """The newest answer of each key, and the task that makes the next one."""

    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, Made] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[Made]] = {}

    async def get(self, key: Hashable, now: Callable[[], Moment], after: int, make: Callable[[], Awaitable[Made]]) -> Made:
        """An answer that still serves, or a new one. Who leaves while it is made takes nothing from the others.

        Raises what `make` raises.
        """
        while True:
            made = self._made.get(key)
            if made is not None and still_serves(made.moment, time.monotonic() - made.began, now(), after):
                self._made.move_to_end(key)
                return made
            if (task := self._making.get(key)) is None:
                wait_s = made.began + AT_MOST_EVERY_S - time.monotonic() if made is not None else 0.0
                task = self._making[key] = asyncio.create_task(self._make(key, wait_s, make))
                task.add_done_callback(_looked_at)
                return await asyncio.shield(task)
            await asyncio.wait([task])
            task.result()

    async def _make(self, key: Hashable, wait_s: float, make: Callable[[], Awaitable[Made]]) -> Made:
        try:
            await asyncio.sleep(max(0.0, wait_s))
            made = await make()
            self._made[key] = made
            self._made.move_to_end(key)
            while len(self._made) > MOST_KEPT:
                self._made.popitem(last=False)
            return made
        finally:
            del self._making[key]


def _looked_at(task: asyncio.Task[Made]) -> None:
    """So that a failure that nobody waited for any more is not reported as forgotten."""
    if not task.cancelled():
        task.exception()
