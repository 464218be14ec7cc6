"""The roads in the outline of a release are closed as long as it lasts. What came in is kept here: they stay closed whoever else is away."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from services.traffic.closures.actions import close_outline, open_outline
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event


async def close_roads(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Repeated and late events are harmless: only a newer outline of a release that lasts changes its closure."""
    assert isinstance(event, OutlineComputed)
    await close_outline(session, event, f"service:{envelope.source}")


async def open_roads(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """The outline was lifted."""
    assert isinstance(event, OutlineLifted)
    await open_outline(session, event.release, event.lifted_at, event.area, f"service:{envelope.source}")
