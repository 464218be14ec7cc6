"""Keeps the newest outline of each release, as the environment service tells it."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.models import outlines
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event

_TOLD = ("method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s", "geometry", "computed_at")
_LIFT = text("""
    INSERT INTO outlines (release, revision, lifted_at, recorded_by) VALUES (:release, 0, :lifted_at, :recorded_by)
    ON CONFLICT (release) DO UPDATE SET lifted_at = excluded.lifted_at, recorded_by = excluded.recorded_by WHERE outlines.lifted_at IS NULL
""")


async def keep_outline(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """A newer revision takes the place of the kept one; an older one that comes late, or again, changes nothing."""
    assert isinstance(event, OutlineComputed)
    told = {name: getattr(event, name) for name in ("release", "revision", *_TOLD)}
    statement = insert(outlines).values(**told, recorded_by=envelope.source)
    newer = statement.on_conflict_do_update(
        index_elements=["release"],
        set_={name: statement.excluded[name] for name in ("revision", *_TOLD, "recorded_by")},
        where=outlines.c.revision < statement.excluded.revision,
    )
    await session.execute(newer)


async def lift_outline(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Nobody is endangered any more."""
    assert isinstance(event, OutlineLifted)
    await session.execute(_LIFT, {"release": event.release, "lifted_at": event.lifted_at, "recorded_by": envelope.source})
