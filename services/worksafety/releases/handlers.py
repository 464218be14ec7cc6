"""Keeps the newest outline of each release, as the environment service tells it."""

from __future__ import annotations

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.models import outlines
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event

_TOLD = ("method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s", "geometry", "computed_at")
_LIFT = text("""
    INSERT INTO outlines (release, revision, lifted_at, recorded_by) VALUES (:release, 0, :lifted_at, :recorded_by)
    ON CONFLICT (release) DO UPDATE SET lifted_at = excluded.lifted_at, recorded_by = excluded.recorded_by WHERE outlines.lifted_at IS NULL
""")


def _newer() -> Insert:
    kept = insert(outlines).values({name: bindparam(name) for name in ("release", "revision", *_TOLD, "recorded_by")})
    excluded = kept.excluded
    return kept.on_conflict_do_update(
        index_elements=["release"],
        set_={name: excluded[name] for name in ("revision", *_TOLD, "recorded_by")},
        where=outlines.c.revision < excluded.revision,
    )


_KEEP = _newer()


async def keep_outline(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """A newer revision takes the place of the kept one; an older one that comes late, or again, changes nothing."""
    assert isinstance(event, OutlineComputed)
    await session.execute(_KEEP, {name: getattr(event, name) for name in ("release", "revision", *_TOLD)} | {"recorded_by": envelope.source})


async def lift_outline(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """Nobody is endangered any more."""
    assert isinstance(event, OutlineLifted)
    await session.execute(_LIFT, {"release": event.release, "lifted_at": event.lifted_at, "recorded_by": envelope.source})
