"""Reads the log: what follows a position, of what is wanted and may be seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.events.domain import Logged, Wanted
from services.hub.events.models import EventRow
from shared.caller import Caller
from shared.events.model import SCALES

WINDOW = 100_000
"""Positions looked at by one statement, so that a filter that finds nothing cannot make it long."""
CHUNK = 200
PAGE_BYTES = 4 * 1024 * 1024
"""Events read by one statement, and the size beyond which a page is ended early."""
PATIENCE_S = 2.0
"""How long one page may be looked for before it is answered with what was found."""
_COLUMNS = (
    EventRow.position,
    EventRow.source,
    EventRow.type,
    EventRow.area,
    *(getattr(EventRow, name) for name in SCALES),
    cast(EventRow.envelope, Text),
    EventRow.regarding,
)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the log."""

    entries: list[Logged]
    after: int
    """Where to go on: nothing up to here is left to be read."""
    more: bool
    """Whether the log goes on beyond `after`."""


async def head(session: AsyncSession) -> int:
    """The last position of the log, 0 if it is empty."""
    return (await session.execute(select(func.max(EventRow.position)))).scalar_one() or 0


async def read_log(session: AsyncSession, after: int, limit: int, *conditions: ColumnElement[bool], until: int | None = None) -> list[Logged]:
    """Events after a position, in order."""
    where = [EventRow.position > after, *conditions, *([EventRow.position <= until] if until is not None else [])]
    rows = await session.execute(select(*_COLUMNS).where(*where).order_by(EventRow.position).limit(limit))
    return [_logged(row) for row in rows]


async def read_page(session: AsyncSession, wanted: Wanted, caller: Caller, after: int, limit: int) -> Page:
    """The next page of what is wanted and may be seen; it may be shorter than `limit`, even empty, while there is more."""
    end, until = await head(session), after
    found: list[Logged] = []
    started = time.monotonic()
    conditions = (*_asked(wanted), _visible(caller))
    size = 0
    while until < end and len(found) < limit and size < PAGE_BYTES and time.monotonic() - started < PATIENCE_S:
        most, reach = min(limit - len(found), CHUNK), min(until + WINDOW, end)
        part = await read_log(session, until, most, *conditions, until=reach)
        found += part
        size += sum(len(logged.envelope) for logged in part)
        until = part[-1].position if len(part) == most else reach
    return Page(found, until, until < end)


async def newest(session: AsyncSession, caller: Caller, limit: int) -> list[Logged]:
    """The newest events that may be seen, the newest first, among the last `WINDOW` of the log."""
    end = await head(session)
    where = (EventRow.position > end - WINDOW, _visible(caller))
    rows = await session.execute(select(*_COLUMNS).where(*where).order_by(EventRow.position.desc()).limit(limit))
    return [_logged(row) for row in rows]


def _asked(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The filter in SQL; the same as `Wanted.matches`."""
    parts: list[ColumnElement[bool]] = []
    if wanted.types:
        parts.append(or_(*(EventRow.type.like(_pattern(pattern), escape="\\") for pattern in wanted.types)))
    if wanted.areas:
        parts.append(or_(*(EventRow.area.startswith(prefix, autoescape=True) for prefix in wanted.areas)))
    if wanted.sources:
        parts.append(EventRow.source.in_(wanted.sources))
    if wanted.regarding:
        parts.append(EventRow.regarding.in_(wanted.regarding))
    parts += [getattr(EventRow, name).in_(levels) for name, levels in wanted.scales.items() if levels]
    return parts


def _visible(caller: Caller) -> ColumnElement[bool]:
    """The rights in SQL; the same as `Caller.sees_area`."""
    if caller.everywhere:
        return true()
    return or_(false(), *(EventRow.area.startswith(prefix, autoescape=True) for prefix in caller.areas))


def _logged(row: Sequence[Any]) -> Logged:
    return Logged(row[0], row[1], row[2], row[3], dict(zip(SCALES, row[4:7], strict=True)), row[7], row[8])


def _pattern(glob: str) -> str:
    return glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
