"""What the fire service keeps in memory while it runs, at `runtime.own`: the copy of the roads, work under way, terminals that listen."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ulid import ULID

from services.fire.roads.client import Roads
from shared.runtime import Runtime

AHEAD_S = 2.0
AT_ONCE = 8
"""Incidents that one process looks at at the same time; each holds a connection for moments only."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a committed event has changed."""

    wanted: int
    """The work's count of reasons after it."""
    release: Mapping[str, Any]
    """Columns of the release with their new values."""


class News:
    """Set when something is said about an incident; kept as long as it is all that was said since the last look."""

    def __init__(self) -> None:
        self._said: list[Told | None] = []
        self._event = asyncio.Event()

    def tell(self, told: Told | None) -> None:
        self._said.append(told)
        self._event.set()

    async def wait(self, seconds: float) -> list[Told | None]:
        """What has been said, once something has, or nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()
        said, self._said = self._said, []
        return said


class Dispatcher:
    """Which incidents this process has claimed, and which it is looking at."""

    def __init__(self) -> None:
        self.name = str(ULID())
        """Of this process's life; a claim bears it."""
        self.ready: set[str] = set()
        self.woken = asyncio.Event()
        self.freed = False
        """Whether a unit has become free since work was last claimed."""
        self.ahead: dict[str, asyncio.Task[Any]] = {}
        """Cards by release, asked for when its report came, while the handler writes."""
        self._running: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, News] = {}

    def begin(self, incident: str, *, mine: bool, told: Told | None = None) -> None:
        """Something new is wanted for an incident; `mine`: its claim is ours; `told`: all that is new, if the look need not read it again."""
        if incident in self._news:
            self._news[incident].tell(told)
        if mine:
            self.ready.add(incident)
            self.woken.set()

    def ask_ahead(self, release: str, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin to ask for the card of a release, unless many are asked for already; who does not take it within `AHEAD_S` asks anew."""
        if len(self.ahead) >= AT_ONCE // 2 or release in self.ahead:
            return
        task = self.ahead[release] = asyncio.create_task(ask())
        asyncio.get_running_loop().call_later(AHEAD_S, self._forget, release, task)

    def _forget(self, release: str, task: asyncio.Task[Any]) -> None:
        task.cancel()
        if self.ahead.get(release) is task:
            del self.ahead[release]

    def unit_freed(self) -> None:
        """Incidents that are short of units are looked at at once."""
        self.freed = True
        self.woken.set()

    def take_freed(self) -> bool:
        freed, self.freed = self.freed, False
        return freed

    def startable(self) -> list[str]:
        """Claimed incidents that nobody looks at, as many as there is room for; from now on they are looked at."""
        room = AT_ONCE - len(self._running)
        found = sorted(self.ready - set(self._running))[: max(0, room)]
        self.ready.difference_update(found)
        return found

    def run(self, incident: str, work: Coroutine[Any, Any, None]) -> None:
        """Look at an incident in a task of its own."""
        task = asyncio.create_task(work)
        self._running[incident] = task
        task.add_done_callback(lambda _: self._ended(incident))

    def news(self, incident: str) -> News:
        """What is said about the incident while it is looked at."""
        return self._news.setdefault(incident, News())

    def _ended(self, incident: str) -> None:
        self._running.pop(incident, None)
        self._news.pop(incident, None)
        self.woken.set()

    async def aclose(self) -> None:
        """End what is under way; whoever claims it next does it again."""
        running = [*self._running.values(), *self.ahead.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class Terminals:
    """Open streams of the units' terminals in this process, and when they must look for messages."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.streams: Counter[str] = Counter()
        """Open streams by subject."""

    @contextmanager
    def listening(self, unit: str) -> Iterator[asyncio.Event]:
        """An event that is set when the unit may have a message."""
        event = asyncio.Event()
        self._listening[unit].add(event)
        try:
            yield event
        finally:
            self._listening[unit].discard(event)
            if not self._listening[unit]:
                del self._listening[unit]

    def told(self, units: Iterable[str]) -> None:
        """Messages to these units have been committed."""
        for unit in units:
            for event in self._listening.get(unit, ()):
                event.set()

    def anybody(self) -> bool:
        return bool(self._listening)


@dataclass(frozen=True, kw_only=True)
class Fire:
    """For `Service.holds`."""

    roads: Roads
    dispatcher: Dispatcher
    terminals: Terminals


@asynccontextmanager
async def hold(runtime: Runtime) -> AsyncIterator[Fire]:
    """Nothing of it costs anything until it is used."""
    own = Fire(roads=Roads(runtime.settings.cache_dir), dispatcher=Dispatcher(), terminals=Terminals())
    try:
        yield own
    finally:
        await own.dispatcher.aclose()
