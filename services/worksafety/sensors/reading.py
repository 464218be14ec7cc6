"""Values just recorded, with their neighbours in time; series that follow their sensors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.sensors.domain import LIVE_FOR, Reading

LOOK_BACK = timedelta(days=1)
"""After so long without a value, one above the threshold is an alarm of its own."""
_FRESH = text("""
    SELECT s.code, s.site, s.property, s.alarm_low, s.alarm_high, i.area, w.time, w.value, w.before, CASE WHEN w.after_old THEN w.after END AS after
    FROM sensors s
    JOIN sites i ON i.id = s.site
    JOIN series r ON r.feature = s.code AND r.property = s.property
    JOIN LATERAL (
        SELECT time, value, recorded_at, lag(value) OVER by_time AS before, lead(value) OVER by_time AS after,
            lead(recorded_at) OVER by_time <> recorded_moment() AS after_old
        FROM (
            (SELECT time, value, recorded_at FROM observations
             WHERE series = r.id AND time < :since AND time >= :back AND quality <= 3 ORDER BY time DESC LIMIT 1)
            UNION ALL
            SELECT time, value, recorded_at FROM observations WHERE series = r.id AND time >= :since AND quality <= 3
        ) known
        WINDOW by_time AS (ORDER BY time)
    ) w ON w.recorded_at = recorded_moment()
    WHERE s.code = ANY(:codes) AND (w.value > s.alarm_low OR w.value > s.alarm_high)
    ORDER BY w.time, s.code
""")
_FOLLOW = """
    UPDATE series SET area = i.area, lon = i.lon, lat = i.lat, name_zh = s.name, recorded_by = s.recorded_by
    FROM sensors s JOIN sites i ON i.id = s.site
    WHERE s.code = series.feature AND {} = ANY(:wanted)
    AND (series.area, series.lon, series.lat, series.name_zh) IS DISTINCT FROM (i.area, i.lon, i.lat, s.name)
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A reading and where it was taken."""

    reading: Reading
    site: str
    area: str
    property: str


async def fresh(session: AsyncSession, codes: Collection[str], since: datetime, now: datetime) -> list[Placed]:
    """The values above a threshold that this transaction recorded for these sensors, none older than what is news; one query."""
    begin = max(since, now - LIVE_FOR)
    found = await session.execute(_FRESH, {"codes": sorted(codes), "since": begin, "back": begin - LOOK_BACK})
    return [
        Placed(Reading(row.code, row.time, row.value, row.before, row.after, row.alarm_low, row.alarm_high), row.site, row.area, row.property) for row in found
    ]


async def follow_sensors(session: AsyncSession, codes: Sequence[str]) -> None:
    """Bring place and name of these sensors' series up to date."""
    await session.execute(text(_FOLLOW.format("s.code")), {"wanted": list(codes)})


async def follow_sites(session: AsyncSession, ids: Sequence[str]) -> None:
    """Bring the place of the series at these sites up to date."""
    await session.execute(text(_FOLLOW.format("i.id")), {"wanted": list(ids)})
