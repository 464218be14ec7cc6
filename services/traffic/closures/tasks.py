"""Ends closures when their time has come."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.traffic.closures.actions import end_due
from shared.runtime import Runtime

EVERY_S = 5.0
"""Ways heed the time itself; this only records that it has come, and tells."""
_log = structlog.get_logger("closures")


async def end_by_time(runtime: Runtime) -> None:
    """For `Service.tasks`. Several processes may do this at once."""
    while True:
        try:
            async with runtime.sessions() as session, session.begin():
                await end_due(session, datetime.now(UTC), runtime)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.warning("closures not ended", error=repr(error))
        await asyncio.sleep(EVERY_S)
