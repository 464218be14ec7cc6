"""The wind near releases, from the service's own newest observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.env.outlines.domain import CALM_M_S, Wind, great_circle_m, widest_deg

RADIUS_M = 30_000.0
FRESH = timedelta(hours=2)
_NEAR = text("""
    SELECT wanted.release, s.feature, s.property, s.lon, s.lat, newest.time, newest.value
    FROM unnest(
        CAST(:release AS text[]), CAST(:west AS float8[]), CAST(:south AS float8[]), CAST(:east AS float8[]), CAST(:north AS float8[])
    ) AS wanted (release, west, south, east, north)
    JOIN series s ON s.property IN ('wind_speed', 'wind_direction') AND s.lon BETWEEN west AND east AND s.lat BETWEEN south AND north
    JOIN LATERAL (
        SELECT time, value FROM observations o
        WHERE o.series = s.id AND o.time > :since AND o.time <= :now AND o.quality <= 2 ORDER BY o.time DESC LIMIT :kept
    ) newest ON true
""")
KEPT = 10
"""Newest values of each series: where speed and direction come in loads of their own, one of them is ahead for a while."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A release whose wind is wanted."""

    release: str
    lon: float
    lat: float


async def winds_near(session: AsyncSession, spots: Sequence[Spot], now: datetime) -> dict[str, Wind]:
    """The newest wind within 2 h and 30 km of each release, from the nearest station that measured speed and direction at one time; in one query.

    A release without such a station is not in the answer. Values flagged suspect or bad do not count.
    """
    wide = [widest_deg(spot.lat, RADIUS_M) for spot in spots]
    given = {
        "release": [spot.release for spot in spots],
        "west": [spot.lon - east for spot, (east, _) in zip(spots, wide, strict=True)],
        "east": [spot.lon + east for spot, (east, _) in zip(spots, wide, strict=True)],
        "south": [spot.lat - north for spot, (_, north) in zip(spots, wide, strict=True)],
        "north": [spot.lat + north for spot, (_, north) in zip(spots, wide, strict=True)],
    }
    places = {spot.release: (spot.lon, spot.lat) for spot in spots}
    by_station: dict[tuple[str, str], dict[str, dict[datetime, float]]] = {}
    distance: dict[tuple[str, str], float] = {}
    for row in await session.execute(_NEAR, {**given, "since": now - FRESH, "now": now, "kept": KEPT}):
        station = (row.release, row.feature)
        distance[station] = great_circle_m(places[row.release], (row.lon, row.lat))
        by_station.setdefault(station, {}).setdefault(row.property, {})[row.time] = row.value
    winds: dict[str, Wind] = {}
    for release, feature in sorted(by_station, key=lambda station: (distance[station], station)):
        wind = _wind(feature, by_station[release, feature])
        if wind and distance[release, feature] <= RADIUS_M:
            winds.setdefault(release, wind)
    return winds


def _wind(station: str, newest: dict[str, dict[datetime, float]]) -> Wind | None:
    """The newest moment of which both speed and direction are known; a calm has no direction, and needs none."""
    speeds, directions = newest.get("wind_speed", {}), newest.get("wind_direction", {})
    for at, speed in sorted(speeds.items(), reverse=True):
        if at in directions:
            return Wind(directions[at] % 360, speed, station, at)
        if speed < CALM_M_S:
            return Wind(None, speed, station, at)
    return None
