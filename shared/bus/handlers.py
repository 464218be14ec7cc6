"""Which handlers an event has, and which streams they need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncSession

from shared.bus.journal import Journal
from shared.events.model import CloudEvent, Event

Handler = Callable[[CloudEvent, Event | None, AsyncSession], Awaitable[None]]
"""`async (envelope, event, session)`: `event` is None for handlers of a pattern; `session.info["runtime"]` is the service's runtime."""
Handled = Mapping[type[Event] | str, Handler | Journal]
_WILD = frozenset("*?[")


class Handlers:
    """The reactions that a service declares in `Service.on`."""

    def __init__(self, on: Handled) -> None:
        self._on = on
        self.of = lru_cache(maxsize=1000)(self._of)

    def _of(self, kind: str) -> tuple[tuple[Handler | Journal, type[Event] | None], ...]:
        """The handlers of a type of event, in the order of their declaration, with the class that they expect."""
        found: list[tuple[Handler | Journal, type[Event] | None]] = []
        for wanted, handler in self._on.items():
            if isinstance(wanted, str):
                if fnmatchcase(kind, wanted):
                    found.append((handler, None))
            elif wanted.type == kind:
                found.append((handler, wanted))
        return tuple(found)

    def journal(self, kinds: Iterable[str]) -> Journal | None:
        """The journal that is all that handles these types of event, if there is one."""
        found = {handlers[0][0] if len(handlers) == 1 else None for handlers in map(self.of, kinds)}
        only = found.pop() if len(found) == 1 else None
        return only if isinstance(only, Journal) else None

    def sources(self, everyone: Iterable[str]) -> list[str]:
        """The services whose streams must be read: the first word of a type names its publisher; a pattern without one needs everyone's."""
        firsts = {(wanted if isinstance(wanted, str) else wanted.type).partition(".")[0] for wanted in self._on}
        named = {first for first in firsts if _WILD.isdisjoint(first)}
        return sorted(named if len(named) == len(firsts) else named | set(everyone))
