"""Answers to releases: an outline at once, a newer one with each revision, none when the release is over."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.env.outlines.actions import answer
from shared.events.env import OutlineLifted
from shared.events.model import CloudEvent, Event
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.outbox.record import record

_LIFT = text("""
    INSERT INTO outlines (release, revision, release_revision, site, area, lifted_at, recorded_by) VALUES (:release, 0, 0, :site, :area, :now, :recorded_by)
    ON CONFLICT (release) DO UPDATE SET lifted_at = excluded.lifted_at, recorded_by = excluded.recorded_by WHERE outlines.lifted_at IS NULL
    RETURNING release
""")


async def outline_release(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """The guidebook's distances at once, and a plume where it holds."""
    assert isinstance(event, ReleaseReported)
    await answer(session, event, envelope.source, datetime.now(UTC))


async def lift_outline(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """The release is over. A report that comes later, out of order, finds the outline lifted and changes nothing."""
    assert isinstance(event, ReleaseConcluded)
    now = datetime.now(UTC)
    given = {"release": event.release, "site": event.site, "area": event.area, "now": now, "recorded_by": envelope.source}
    if await session.scalar(_LIFT, given) is not None:
        record(session, OutlineLifted(area=event.area, regarding=event.regarding or f"releases/{event.release}", release=event.release, lifted_at=now))
