"""Stations and their series: placed, checked against areas and rights, merged by their natural keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.env.models import stations
from services.env.observations.schemas import AIR
from services.env.stations.schemas import SeriesIn, StationIn
from shared.area_directory import AreaDirectory
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
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
    rows: dict[int, dict[str, Any]] = {}
    for number, place in (await place_rows(checked, areas, caller, city)).items():
        station = checked.rows[number]
        rows[number] = {
            "code": station.code,
            "name_zh": station.name_zh,
            "name_en": station.name_en,
            "kind": station.kind.value,
            "area": place.area,
            "lon": place.lon,
            "lat": place.lat,
            "timezone": station.timezone or timezone,
        }
    visible = covers(caller, stations.c.area)
    merged = await merge(session, stations, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=visible)
    merged.explain(checked, "station")
    if merged.corrected:
        corrected = [rows[number] for number in merged.corrected]
        whole = [row["timezone"] for row in corrected if whole_hours(row["timezone"])]
        await session.execute(_FOLLOW, {"codes": [row["code"] for row in corrected], "whole": whole})
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)


async def save_series(session: AsyncSession, checked: Checked[SeriesIn], caller: Caller) -> LoadAnswer:
    """Take new series; place, names and zone are the station's."""
    found = await session.execute(
        select(stations).where(stations.c.code == func.any(sorted({row.station for row in checked.rows.values()}))).where(covers(caller, stations.c.area))
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
