"""Answers of sources in memory, bounded by their bytes, and one request for all who ask the same at once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from shared.passage import Passage
from shared.source_failures import SourceBusy, SourceDenied, SourceFailure, SourceTimeout

Value = TypeVar("Value")
PATIENCE_S = 0.5
"""How long a look waits for the one before it."""
LARGEST_SHARE = 8
"""An answer that takes more than this part of the room is not kept."""


@dataclass(slots=True)
class Answered(Generic[Value]):
    """What a source answered, and what is known of how long it holds. Times are of `time.monotonic`."""

    value: Value
    size: int
    """Bytes."""
    asked: float
    """When it was asked for: the answer shows a moment after that."""
    took_s: float
    """How long the source took to make it."""
    version: str | None = None
    """The version of the dataset from which it was made, if the source says one."""
    tag: str | None = None
    """By which the source recognises the answer."""
    true_at: float = 0.0
    """The latest moment of which it is known to be true."""
    as_of: datetime | None = None
    """The same on the source's clock, once it was confirmed; before that the answer says it itself."""
    restless: bool = False
    """Whether it had changed when it was last looked after: then it is asked for at once, without asking for its version first."""

    def confirmed(self, true_at: float, as_of: datetime | None) -> None:
        if true_at >= self.true_at:
            self.true_at, self.as_of = true_at, as_of or self.as_of


@dataclass(slots=True)
class Flight(Generic[Value]):
    """A request under way, and how many wait for it."""

    task: asyncio.Task[Answered[Value]]
    ends: float
    waiting: int = 0


class Kept(Generic[Value]):
    """Answers by key, the one used longest ago leaving first; and the requests under way."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held: OrderedDict[Hashable, Answered[Value]] = OrderedDict()
        self._flights: dict[Hashable, Flight[Value]] = {}
        self.size = 0

    def held(self, key: Hashable) -> Answered[Value] | None:
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def flying(self, key: Hashable) -> bool:
        return key in self._flights

    def keep(self, key: Hashable, answered: Answered[Value]) -> None:
        """Keep it in the place of an earlier one, and let go what no longer finds room."""
        self.forget(key)
        if answered.size * LARGEST_SHARE > self._most:
            return
        self._held[key] = answered
        self.size += answered.size
        while self.size > self._most:
            _, gone = self._held.popitem(last=False)
            self.size -= gone.size

    def forget(self, key: Hashable) -> None:
        if (gone := self._held.pop(key, None)) is not None:
            self.size -= gone.size

    def all(self) -> Collection[Answered[Value]]:
        """All that is kept."""
        return self._held.values()

    def clear(self) -> None:
        """Keep nothing of what was kept."""
        self._held.clear()
        self.size = 0

    async def fly(self, key: Hashable, passage: Passage, source: str, make: Callable[[], Awaitable[Answered[Value]]]) -> tuple[Answered[Value], bool]:
        """The answer that `make` gets, made once for all who wait; and whether somebody else had begun it.

        Who leaves, or has little time, takes nothing from the others: the request ends early only when nobody waits for it any more.
        Who joined one that failed because its first asker had less time, or was refused, asks anew. Raises what `make` raises.
        """
        joined = False
        while True:
            flight = self._flights.get(key)
            if mine := flight is None:
                flight = Flight(asyncio.create_task(self._make(key, make)), passage.ends)
                self._flights[key] = flight
            joined = not mine
            try:
                return await self._landed(key, flight, passage, source), joined
            except SourceFailure as failure:
                if mine or passage.remaining_s <= 0 or not _others_fault(failure, flight, passage):
                    raise

    async def _landed(self, key: Hashable, flight: Flight[Value], passage: Passage, source: str) -> Answered[Value]:
        flight.waiting += 1
        given_s = passage.remaining_s
        try:
            async with asyncio.timeout(given_s):
                return await asyncio.shield(flight.task)
        except TimeoutError as error:
            raise SourceTimeout(f"{source} did not answer within {given_s * 1000:.0f} ms.") from error
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                flight.task.cancel()
                self._over(key, flight.task)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Answered[Value]]]) -> Answered[Value]:
        me = asyncio.current_task()
        try:
            answered = await make()
            self.keep(key, answered)
            return answered
        finally:
            self._over(key, me)

    def _over(self, key: Hashable, task: asyncio.Task[Any] | None) -> None:
        """Nobody joins a request that has ended, or is being given up."""
        if (flight := self._flights.get(key)) is not None and flight.task is task:
            del self._flights[key]


def _others_fault(failure: SourceFailure, flight: Flight[Value], passage: Passage) -> bool:
    return isinstance(failure, SourceDenied) or (isinstance(failure, (SourceTimeout, SourceBusy)) and flight.ends < passage.ends)


@dataclass(slots=True, eq=False)
class Look(Generic[Value]):
    """A look under way or to come, and how many wait for it."""

    task: asyncio.Task[Value] = field(init=False)
    waiting: int = 0


class SharedChecks(Generic[Value]):
    """One look at a source for all who want to know how it is now.

    A look that began before somebody came tells nothing of what happened since; so whoever comes while one is under way shares the next. That
    waits for the one before it, but no longer than `PATIENCE_S`; a look that nobody waits for any more is given up.
    """

    def __init__(self) -> None:
        self._running: dict[str, Look[Value]] = {}
        self._next: dict[str, Look[Value]] = {}

    async def get(self, name: str, make: Callable[[], Awaitable[Value]]) -> Value:
        """What a look that began after this call finds; raises what it raises."""
        if (look := self._next.get(name)) is None:
            look, before = Look[Value](), self._running.get(name)
            (self._running if before is None else self._next)[name] = look
            look.task = asyncio.create_task(self._after(name, look, before, make))
        look.waiting += 1
        try:
            return await asyncio.shield(look.task)
        finally:
            look.waiting -= 1
            if not look.waiting and not look.task.done():
                look.task.cancel()
                self._over(name, look)

    async def _after(self, name: str, me: Look[Value], before: Look[Value] | None, make: Callable[[], Awaitable[Value]]) -> Value:
        try:
            if before is not None:
                await asyncio.wait([before.task], timeout=PATIENCE_S)
                self._running[name] = self._next.pop(name)
            return await make()
        finally:
            self._over(name, me)

    def _over(self, name: str, look: Look[Value]) -> None:
        for known in (self._running, self._next):
            if known.get(name) is look:
                del known[name]


def age_s(answered: Answered[Value]) -> float:
    """How long ago it was last known to be true."""
    return time.monotonic() - answered.true_at
