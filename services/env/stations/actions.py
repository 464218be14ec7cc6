"""Stations and their series: placed, checked against areas and rights, merged by their natural keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import ARRAY, Text, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import ColumnElement, true

from services.env.models import stations
from services.env.observations.schemas import AIR
from services.env.stations.schemas import SeriesIn, StationIn
from shared.area_directory import AreaDirectory
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.coordinates import Crs, to_wgs84
from shared.loads import merge
from shared.row_models import Checked
from shared.series import hour_needs, series, whole_hours

_FOLLOW = text("""
    UPDATE series SET area = s.area, lon = s.lon, lat = s.lat, name_zh = s.name_zh, name_en = s.name_en,
        timezone = s.timezone, whole_hours = s.timezone = ANY(:whole), recorded_by = s.recorded_by
    FROM stations s WHERE s.code = series.feature AND s.code = ANY(:codes)
    AND (series.area, series.lon, series.lat, series.name_zh, series.name_en, series.timezone)
        IS DISTINCT FROM (s.area, s.lon, s.lat, s.name_zh, s.name_en, s.timezone)
""").bindparams(bindparam("codes", type_=ARRAY(Text)), bindparam("whole", type_=ARRAY(Text)))


async def save_stations(
    session: AsyncSession, checked: Checked[StationIn], areas: AreaDirectory, caller: Caller, *, city: Sequence[str], timezone: str, correct: bool
) -> LoadAnswer:
    """Take new stations and, if `correct`, new facts about known ones, whose series follow."""
    points = _points(checked)
    placed = await _placed(checked, points, areas)
    rows: dict[int, dict[str, Any]] = {}
    for number, area in placed.items():
        if not (caller.sees_area(area) and _covers(city, area)):
            checked.reject(number, "area", "outside-areas", f"The area {area} is not among those of this city that the token covers.")
            continue
        station = checked.rows[number]
        lon, lat = points.get(number, (None, None))
        rows[number] = {
            "code": station.code,
            "name_zh": station.name_zh,
            "name_en": station.name_en,
            "kind": station.kind.value,
            "area": area,
            "lon": lon,
            "lat": lat,
            "timezone": station.timezone or timezone,
        }
    merged = await merge(session, stations, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=_visible(caller))
    merged.explain(checked, "station")
    if merged.corrected:
        corrected = [rows[number] for number in merged.corrected]
        whole = [row["timezone"] for row in corrected if whole_hours(row["timezone"])]
        await session.execute(_FOLLOW, {"codes": [row["code"] for row in corrected], "whole": whole})
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)


def _points(checked: Checked[StationIn]) -> dict[int, tuple[float, float]]:
    """The points of the rows that have one, as WGS 84, rounded to a centimetre so that the same point is the same again."""
    found: dict[int, tuple[float, float]] = {}
    for crs in Crs:
        numbers = [number for number, row in checked.rows.items() if row.crs is crs and row.lon is not None]
        if numbers:
            lon, lat = to_wgs84([checked.rows[one].lon or 0 for one in numbers], [checked.rows[one].lat or 0 for one in numbers], crs)
            found |= dict(zip(numbers, zip(np.round(lon, 7).tolist(), np.round(lat, 7).tolist(), strict=True), strict=True))
    return found


async def _placed(checked: Checked[StationIn], points: dict[int, tuple[float, float]], areas: AreaDirectory) -> dict[int, str]:
    """The area of each row: as given, if it is known, or where its point lies."""
    known = await areas.known({row.area for row in checked.rows.values() if row.area})
    found: dict[int, str] = {}
    for number, row in list(checked.rows.items()):
        if row.area and row.area in known:
            found[number] = row.area
        elif row.area:
            checked.reject(number, "area", "unknown-area", f"There is no area {row.area!r}. The hub's /areas lists them.")
    lost = [number for number in checked.rows if number not in found]
    for number, area in zip(lost, await areas.locate([points[number] for number in lost]) if lost else [], strict=True):
        if area is None:
            checked.reject(number, "lon", "unknown-area", "The point lies in no area whose shape is known. Give the station's area as well.")
        else:
            found[number] = area
    return found


def _covers(prefixes: Sequence[str], area: str) -> bool:
    return "*" in prefixes or any(area.startswith(prefix) for prefix in prefixes)


def _visible(caller: Caller) -> ColumnElement[bool]:
    """Stations whose area the token covers; no others can be corrected."""
    return true() if caller.everywhere else or_(*(func.left(stations.c.area, len(prefix)) == prefix for prefix in caller.areas), ~true())


async def save_series(session: AsyncSession, checked: Checked[SeriesIn], caller: Caller) -> LoadAnswer:
    """Take new series; place, names and zone are the station's."""
    found = await session.execute(
        select(stations).where(stations.c.code == func.any(sorted({row.station for row in checked.rows.values()}))).where(_visible(caller))
    )
    by_code = {station.code: station for station in found}
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(checked.rows.items()):
        if row.station not in by_code:
            checked.reject(number, "station", "unknown-station", f"There is no station {row.station!r}. Declare it with PUT /stations first.")
        elif row.property not in AIR.by_code:
            checked.reject(number, "property", "unknown-property", f"There is no property {row.property!r}; known are {', '.join(sorted(AIR.by_code))}.")
        else:
            station = by_code[row.station]
            rows[number] = {
                "feature": station.code,
                "property": row.property,
                "unit": AIR.by_code[row.property].unit,
                "timing": row.timing.value,
                "interval_s": row.interval_s,
                "hour_needs": hour_needs(row.interval_s),
                "timezone": station.timezone,
                "whole_hours": whole_hours(station.timezone),
                "name_zh": station.name_zh,
                "name_en": station.name_en,
                "area": station.area,
                "lon": station.lon,
                "lat": station.lat,
            }
    merged = await merge(session, series, rows, key=("feature", "property"), recorded_by=caller.subject)
    for number, columns in merged.conflicts.items():
        checked.reject(
            number, "", "conflict", f"This series exists with another {columns}, and its values rely on it. Declare a station code of its own instead."
        )
    merged.conflicts.clear()
    merged.explain(checked, "series")
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)
