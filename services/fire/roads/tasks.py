"""Keeps the copy of the road network in step with traffic's."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from services.fire.models import units
from shared.runtime import Runtime
from shared.source_failures import SourceFailure

INTERVAL_S = 20.0
"""How often traffic is asked, beyond what its events tell: seldom another network, always a connection and a token that are ready in an emergency."""
IDLE_S = 5.0
"""How often to look whether there are units by now, or traffic answers again."""
_log = structlog.get_logger("roads")


async def keep_roads(runtime: Runtime) -> None:
    """Fetch the network when it is another one, until cancelled; a service without units needs none."""
    roads, failing = runtime.own.roads, False
    while True:
        pause = IDLE_S
        try:
            if await has_units(runtime):
                roads.wanted.clear()
                await roads.refresh(runtime)
                pause, failing = INTERVAL_S, False
        except (SourceFailure, SQLAlchemyError, OSError, TimeoutError, ValueError) as error:
            if not failing:
                _log.warning("road network not copied", error=str(error))
            failing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await roads.wanted.wait()


async def has_units(runtime: Runtime) -> bool:
    """Whether this city has anybody to send."""
    async with runtime.sessions() as session:
        return (await session.scalar(select(units.c.code).limit(1))) is not None
