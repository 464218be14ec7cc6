"""Tells the terminals of this process what other processes wrote, and keeps in touch with the hub."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.fire.models import crew_messages
from services.fire.roads.tasks import IDLE_S, INTERVAL_S, has_units
from shared.runtime import Runtime
from shared.source_failures import SourceFailure

POLL_S = 1.0
MOST = 500
_log = structlog.get_logger("crews")


async def keep_terminals(runtime: Runtime) -> None:
    """Look for new messages while anybody listens, until cancelled."""
    position: int | None = None
    while True:
        if not runtime.own.terminals.anybody():
            position = None
        else:
            try:
                position = await _tell(runtime, position)
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                _log.warning("messages cannot be read", error=repr(error))
        await asyncio.sleep(POLL_S)


async def _tell(runtime: Runtime, position: int | None) -> int:
    async with runtime.sessions() as session:
        if position is None:
            return int(await session.scalar(select(func.coalesce(func.max(crew_messages.c.position), 0))) or 0)
        query = select(crew_messages.c.position, crew_messages.c.units).where(crew_messages.c.position > position)
        for row in await session.execute(query.order_by(crew_messages.c.position).limit(MOST)):
            runtime.own.terminals.told(row.units)
            position = row.position
    return position


async def keep_in_touch(runtime: Runtime) -> None:
    """Ask the hub something small now and then, so that what is asked in an emergency finds a connection and a token ready."""
    while True:
        pause = IDLE_S
        try:
            if await has_units(runtime):
                await runtime.calls.ask("hub", "/lookups", within=5.0)
                pause = INTERVAL_S
        except (SourceFailure, SQLAlchemyError, OSError, TimeoutError):
            pass  # the question in earnest will say so
        await asyncio.sleep(pause)
