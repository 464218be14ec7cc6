"""The driver's own connection of a session: COPY and plain statements without a Python object for each parameter's type."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession


async def driver_of(session: AsyncSession) -> Any:
    """asyncpg's connection, inside the session's transaction if that has run a statement."""
    return (await (await session.connection()).get_raw_connection()).driver_connection
