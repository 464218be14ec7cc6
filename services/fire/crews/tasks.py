"""Tells the terminals of this process what other processes wrote."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from services.fire.models import crew_messages
from shared.runtime import Runtime

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
