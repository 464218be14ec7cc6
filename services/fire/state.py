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

Question = Callable[[], Coroutine[Any, Any, Any]]
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


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is asked when the report of a release came, while the handler writes."""

    card: asyncio.Task[Any]
    known: asyncio.Task[Any] | None
    """What our own database knows (`services.fire.dispatch.reading.Known`), or None if it does not answer; of a first report only."""

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        return [self.card, self.known] if self.known else [self.card]


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
        self.ahead: dict[str, Ahead] = {}
        """By release."""
        self._opened: dict[str, Any] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, News] = {}

    def begin(self, incident: str, *, mine: bool, told: Told | None = None, case: Any = None) -> None:
        """Something new is wanted for an incident; `mine`: its claim is ours; `told`: all that is new, if the look need not read it again;
        `case`: the whole, if it has just been opened (`services.fire.dispatch.reading.Case`).
        """
        if case is not None:
            self._opened[incident] = case
            self.news(incident)  # from now on all that is said is for the look that takes the case
        elif incident in self._news:
            self._news[incident].tell(told)
        if mine:
            self.ready.add(incident)
            self.woken.set()

    def take_opened(self, incident: str) -> Any:
        """The case of an incident that has just been opened here and that nobody has looked at; None of all others."""
        return self._opened.pop(incident, None)

    def ask_ahead(self, release: str, card: Question, known: Question | None) -> None:
        """Begin to ask for the card of a release and to read what is known, unless that is done for many already; who does not take it within
        `AHEAD_S` asks anew.
        """
        if len(self.ahead) >= AT_ONCE // 2 or release in self.ahead:
            return
        ahead = self.ahead[release] = Ahead(asyncio.create_task(card()), asyncio.create_task(known()) if known else None)
        asyncio.get_running_loop().call_later(AHEAD_S, self._forget, release, ahead)

    def _forget(self, release: str, ahead: Ahead) -> None:
        if self.ahead.get(release) is ahead:  # nobody has taken it
            del self.ahead[release]
            for task in ahead.tasks:
                task.cancel()

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
        running = [*self._running.values(), *(task for ahead in self.ahead.values() for task in ahead.tasks)]
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
