"""What access does by itself: takes the clients file in, forgets expired revocations, keeps the signing keys fresh."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.hub.access.clients_file import take_clients_file
from services.hub.access.issuer import forget_expired
from services.hub.state import Hub
from shared.service import Runtime

_FORGET_EVERY_S = 600.0
_RETRY_S = 1.0
_log = structlog.get_logger("access")


async def keep_access(runtime: Runtime) -> None:
    """Run until cancelled; a database that is away is waited for."""
    hub: Hub = runtime.own
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.issuer.run())
        group.create_task(_take_clients(runtime))
        group.create_task(_forget(runtime))


async def _take_clients(runtime: Runtime) -> None:
    while not await take_clients_file(runtime):
        await asyncio.sleep(_RETRY_S)


async def _forget(runtime: Runtime) -> None:
    while True:
        try:
            async with runtime.sessions.begin() as session:
                await forget_expired(session)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("expired revocations not forgotten", error=repr(error))
        await asyncio.sleep(_FORGET_EVERY_S)
