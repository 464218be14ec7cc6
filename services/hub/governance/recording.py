"""Writes the access record: a bounded queue that never makes anybody wait, emptied in bulk by a task of its own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.hub.governance.entries import COLUMNS, entries, kinds_of, lost_entry
from services.hub.governance.noting import Asking, begin
from shared import log
from shared.service import Runtime

MOST_WAITING = 20_000
"""Questions that wait to be written, at most: some 40 MB, and a minute of the database away at 300 questions per second."""
BATCH = 2_000
EVERY_S = 1.0
FORGET_EVERY_S = 6 * 3600.0
LAST_S = 5.0
"""How long the last of the record may take when the hub ends."""
LOST = Counter("liandong_accesses_lost_total", "Questions that the access record could not take")
_MAKE_PARTITION = text("SELECT make_access_partition(:month)")
_FORGET = text("SELECT forget_accesses(:days)")
_UNFIT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ArithmeticError, ValueError, TypeError, AttributeError, KeyError)
"""Failures that lie in what is written, not in the way there."""
_log = structlog.get_logger("accesses")


class Accesses:
    """What was asked and is not written yet."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._waiting: deque[Asking] = deque()
        self._most = most
        self._more = asyncio.Event()
        self.lost = 0
        self.lost_since: datetime | None = None
        self.turn = asyncio.Lock()
        """Held by whoever writes: when a write has ended, all that waited before it is written."""

    def put(self, asking: Asking) -> None:
        """Take a finished question; if there is no room, it is counted instead."""
        if len(self._waiting) >= self._most:
            self.lose(1)
            return
        self._waiting.append(asking)
        if len(self._waiting) >= BATCH:
            self._more.set()

    def lose(self, count: int) -> None:
        LOST.inc(count)
        self.lost += count
        self.lost_since = self.lost_since or datetime.now(UTC)

    def take(self) -> list[Asking]:
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def give_back(self, taken: list[Asking]) -> None:
        """What could not be written waits again, before all others; what has no room any more is lost and counted."""
        room = max(0, self._most - len(self._waiting))
        self._waiting.extendleft(reversed(taken[:room]))
        if len(taken) > room:
            self.lose(len(taken) - room)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def wait(self, seconds: float) -> None:
        """Until a batch is full, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()
        self._more.clear()


class AccessRecord:
    """ASGI middleware: begins a question, and puts it on the record when its answer has left, or was given up."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asking = begin()
        asking.whole = False
        state = scope.setdefault("state", {})

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                asking.status = message["status"]
            await send(message)
            asking.whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, answer)
        finally:
            if asking.parts and (caller := state.get("caller")) is not None:
                asking.caller, asking.returned = caller, state.get("returned")
                asking.elapsed_ms = round((time.monotonic() - asking.started) * 1000)
                asking.params = QueryParams(scope["query_string"]).multi_items()
                asking.kind = kinds_of(getattr(scope.get("route"), "path", ""), asking.params)
                asking.item = scope.get("path_params", {}).get("feature_id")
                asking.request_id = log.request_id.get() or ""
                scope["app"].state.runtime.own.accesses.put(asking)


async def keep_accesses(runtime: Runtime) -> None:
    """Write what was asked, every second, until cancelled; then the rest."""
    accesses: Accesses = runtime.own.accesses
    forgotten = -FORGET_EVERY_S
    try:
        while True:
            await accesses.wait(EVERY_S)
            await write(runtime, accesses)
            if time.monotonic() - forgotten >= FORGET_EVERY_S:
                forgotten = time.monotonic()
                await _forget(runtime)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await write(runtime, accesses)


async def write(runtime: Runtime, accesses: Accesses) -> None:
    """Write all that waits, a batch at a time. If the database is away, it waits on."""
    async with accesses.turn:
        await _write(runtime, accesses)


async def _write(runtime: Runtime, accesses: Accesses) -> None:
    while taken := accesses.take():
        lost, since = accesses.lost, accesses.lost_since
        parts = [taken]
        try:
            while parts:
                parts[:1] = await _written(runtime, accesses, parts[0])
            if since:
                await _copy(runtime, [lost_entry(lost, since, runtime.settings.audience)])
        except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            accesses.give_back([asking for part in parts for asking in part])
            _log.warning("access record waits", error=repr(error)[:300], waiting=accesses.waiting)
            return
        except asyncio.CancelledError:
            accesses.give_back([asking for part in parts for asking in part])
            raise
        if since:
            accesses.lost -= lost
            accesses.lost_since = since if accesses.lost else None


async def _written(runtime: Runtime, accesses: Accesses, part: list[Asking]) -> list[list[Asking]]:
    """Write a part; what must be tried again in smaller parts, because one question is such that the database takes none of them."""
    try:
        _look_up(runtime, part)
        await _copy(runtime, await asyncio.to_thread(_rows, part, runtime.settings.audience))
    except _UNFIT as error:
        if len(part) > 1:
            return [part[: len(part) // 2], part[len(part) // 2 :]]
        accesses.lose(1)
        _log.exception("the database does not take this access", error=repr(error)[:300])
    return []


def _look_up(runtime: Runtime, part: list[Asking]) -> None:
    """What is declared of datasets of which the question was refused before that was looked up."""
    missing = {name for asking in part for name, asked in asking.parts.items() if asked.declared is None}
    known = {name: offers[0][1].declared for name, offers in runtime.own.registry.offers(cities=True).items()} if missing else {}
    known |= {dataset.id: dataset for dataset in runtime.service.datasets}
    for asking in part:
        for name, asked in asking.parts.items():
            asked.declared = asked.declared or known.get(name)


def _rows(taken: list[Asking], recorded_by: str) -> list[tuple[Any, ...]]:
    """A question that cannot be described is recorded without its description rather than not at all."""
    rows: list[tuple[Any, ...]] = []
    for asking in taken:
        try:
            rows += entries(asking, recorded_by)
        except Exception as error:  # noqa: BLE001 - whatever it is, that somebody asked must be on the record
            _log.exception("a question could not be described", error=repr(error)[:300])
            for part in asking.parts.values():
                part.questions, part.declared, part.fields = [], None, set()
            asking.params = ()
            rows += entries(asking, recorded_by)
    return rows


async def _copy(runtime: Runtime, rows: list[tuple[Any, ...]]) -> None:
    months = {date(moment.year, moment.month, 1) for moment in (row[COLUMNS.index("at")] for row in rows)}
    async with runtime.sessions.begin() as session:
        for month in sorted(months):  # one, or two around midnight of the first
            await session.execute(_MAKE_PARTITION, {"month": month})
        driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        await driver.copy_records_to_table("accesses", records=rows, columns=COLUMNS)


async def _forget(runtime: Runtime) -> None:
    try:
        async with runtime.sessions.begin() as session:
            forgotten = await session.scalar(_FORGET, {"days": runtime.settings.access_days})
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        _log.warning("old accesses not forgotten", error=repr(error)[:300])
        return
    if forgotten:
        _log.info("old accesses forgotten", months=forgotten)
