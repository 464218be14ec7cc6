"""Keeps the newest outline of each release and tells of it; follows the wind as it turns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.env.models import outlines
from services.env.outlines.domain import moved
from services.env.outlines.judging import Escape, Outline, outlines_of
from services.env.outlines.reading import Spot, winds_near
from shared.events.env import OutlineComputed
from shared.events.worksafety import ReleaseReported
from shared.outbox.record import record_all

WIND = frozenset({"wind_speed", "wind_direction"})
_KNOWN = ("site", "substance", "un", "name_zh", "name_en", "rate_kg_s", "amount_kg", "began_at", "lon", "lat", "area")
_COMPUTED = (
    *("method", "source", "valid", "isolation_m", "protective_m", "wind_from_deg", "wind_speed_m_s", "wind_station", "wind_at"),
    *("stability", "notes", "geometry", "extent", "computed_at"),
)


def _first_or_newer() -> Insert:
    """The first outline of a release, or that of a newer report of it, as the next revision; one whose release has ended stays."""
    given = ("release_revision", *_KNOWN, *_COMPUTED, "recorded_by")
    first = insert(outlines).values(revision=1, **{name: bindparam(name) for name in ("release", *given)})
    excluded = first.excluded
    return first.on_conflict_do_update(
        index_elements=["release"],
        set_={name: excluded[name] for name in given} | {"revision": outlines.c.revision + 1},
        where=(outlines.c.release_revision < excluded.release_revision) & outlines.c.lifted_at.is_(None),
    )


_ANSWER = _first_or_newer().returning(outlines.c.revision)
"""Made once: a crew waits for the outline."""
_FOLLOW = update(outlines).where(outlines.c.release == bindparam("known")).values({name: bindparam(name) for name in ("revision", *_COMPUTED)})


async def answer(session: AsyncSession, event: ReleaseReported, recorded_by: str, now: datetime) -> None:
    """Outline a reported release. A report that is known already, or older than the known one, or of a release that has ended, changes nothing."""
    spot = Spot(event.release, event.lon, event.lat)
    wind = (await winds_near(session, [spot], now)).get(event.release)
    known = {name: getattr(event, name) for name in _KNOWN}
    escape = Escape(event.release, event.substance, event.un, event.rate_kg_s, event.amount_kg, event.lon, event.lat)
    made = outlines_of(escape, wind, max(event.began_at, now))
    given = {"release": event.release, "release_revision": event.revision, **known, "recorded_by": recorded_by}
    revision = await session.scalar(_ANSWER, {**given, **_columns(made[0], now)})
    if revision is None:
        return
    if len(made) > 1:
        await (await session.connection()).execute(_FOLLOW, {"known": event.release, "revision": revision + 1, **_columns(made[1], now)})
    record_all(session, [_event(given, outline, revision + place, now) for place, outline in enumerate(made)])


async def follow_wind(session: AsyncSession, recorded_by: str, now: datetime) -> None:
    """Outline the active releases anew where the newest wind moves their outline by more than a tenth; one query when there are none."""
    query = select(outlines).where(outlines.c.lifted_at.is_(None)).order_by(outlines.c.release).with_for_update()
    active = (await session.execute(query)).mappings().all()
    if not active:
        return
    winds = await winds_near(session, [Spot(row["release"], row["lon"], row["lat"]) for row in active], now)
    changed = []
    for row in active:
        escape = Escape(*(row[name] for name in ("release", "substance", "un", "rate_kg_s", "amount_kg", "lon", "lat")))
        newest = outlines_of(escape, winds.get(row["release"]), max(row["began_at"], now))[-1]
        if moved(row["geometry"], newest.geometry):
            changed.append((row, newest))
    if not changed:
        return
    rows = [{"known": row["release"], "revision": row["revision"] + 1, "recorded_by": recorded_by, **_columns(newest, now)} for row, newest in changed]
    await (await session.connection()).execute(_FOLLOW.values(recorded_by=bindparam("recorded_by")), rows)
    record_all(session, [_event(dict(row), newest, row["revision"] + 1, now) for row, newest in changed])


def _columns(outline: Outline, now: datetime) -> dict[str, Any]:
    west, south, east, north = outline.extent
    wind = outline.wind
    return {
        "method": outline.method,
        "source": outline.source,
        "valid": outline.valid,
        "isolation_m": outline.isolation_m,
        "protective_m": outline.protective_m,
        "wind_from_deg": outline.direction,
        "wind_speed_m_s": wind.speed_m_s if wind else None,
        "wind_station": wind.station if wind else None,
        "wind_at": wind.at if wind else None,
        "stability": outline.stability,
        "notes": [note.as_dict() for note in outline.notes],
        "geometry": outline.geometry,
        "extent": asyncpg.Box((east, north), (west, south)),
        "computed_at": now,
    }


def _event(row: Mapping[str, Any], outline: Outline, revision: int, now: datetime) -> OutlineComputed:
    return OutlineComputed(
        area=row["area"],
        regarding=f"releases/{row['release']}",
        **{name: row[name] for name in ("release", "substance", "un", "lon", "lat")},
        revision=revision,
        method=outline.method,
        source=outline.source,
        valid=outline.valid,
        isolation_m=outline.isolation_m,
        protective_m=outline.protective_m,
        wind_from_deg=outline.direction,
        wind_speed_m_s=outline.wind.speed_m_s if outline.wind else None,
        geometry=outline.geometry,
        computed_at=now,
    )
