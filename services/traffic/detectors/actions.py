"""Detectors, their adjacency and their series: placed, checked against areas and rights, merged by their natural keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.traffic.detectors.schemas import MEASURED, AdjacencyIn, DetectorIn, SeriesIn
from services.traffic.models import adjacency, detectors
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import Checked
from shared.runtime import Runtime
from shared.series import hour_needs, series, whole_hours

_UNKNOWN = "There is no detector {!r}. Declare it with PUT /detectors first."
_FOLLOW = text("""
    UPDATE series SET area = d.area, lon = d.lon, lat = d.lat, name_zh = d.name_zh, name_en = d.name_en,
        timezone = d.timezone, whole_hours = d.timezone = ANY(:whole), recorded_by = d.recorded_by
    FROM detectors d WHERE d.code = series.feature AND d.code = ANY(:codes)
    AND (series.area, series.lon, series.lat, series.name_zh, series.name_en, series.timezone)
        IS DISTINCT FROM (d.area, d.lon, d.lat, d.name_zh, d.name_en, d.timezone)
""").bindparams(bindparam("codes", type_=ARRAY(Text)), bindparam("whole", type_=ARRAY(Text)))
_FOLLOW_AREA = text("""
    UPDATE adjacency SET area = d.area, recorded_by = d.recorded_by
    FROM detectors d WHERE d.code = from_detector AND d.code = ANY(:codes) AND adjacency.area <> d.area
""").bindparams(bindparam("codes", type_=ARRAY(Text)))


async def save_detectors(session: AsyncSession, checked: Checked[DetectorIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new detectors and, if `correct`, new facts about known ones, whose series and adjacency follow."""
    settings = runtime.settings
    rows: dict[int, dict[str, Any]] = {}
    for number, place in (await place_rows(checked, runtime.areas, caller, settings.areas)).items():
        row = checked.rows[number]
        stated = row.model_dump(include={"code", "name_zh", "name_en", "road"})
        rows[number] = {**stated, "area": place.area, "lon": place.lon, "lat": place.lat, "timezone": row.timezone or settings.timezone}
    mine = covers(caller, detectors.c.area)
    merged = await merge(session, detectors, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(checked, "detector")
    if merged.corrected:
        corrected = [rows[number] for number in merged.corrected]
        whole = [row["timezone"] for row in corrected if whole_hours(row["timezone"])]
        codes = [row["code"] for row in corrected]
        await session.execute(_FOLLOW, {"codes": codes, "whole": whole})
        await session.execute(_FOLLOW_AREA, {"codes": codes})
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)


async def save_adjacency(session: AsyncSession, checked: Checked[AdjacencyIn], caller: Caller, *, correct: bool) -> LoadAnswer:
    """Take new pairs of detectors and, if `correct`, other weights of known ones; the area is that of the first."""
    by_code = await _detectors(session, {code for row in checked.rows.values() for code in (row.from_detector, row.to_detector)}, caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(checked.rows.items()):
        for member, code in (("from_detector", row.from_detector), ("to_detector", row.to_detector)):
            if code not in by_code:
                checked.reject(number, member, "unknown-detector", _UNKNOWN.format(code))
                break
        else:
            rows[number] = {"id": f"{row.from_detector}:{row.to_detector}", **row.model_dump(), "area": by_code[row.from_detector].area}
    mine = covers(caller, adjacency.c.area)
    merged = await merge(session, adjacency, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine, derived=("area",))
    merged.explain(checked, "pair of detectors")
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)


async def _detectors(session: AsyncSession, codes: Iterable[str], caller: Caller) -> dict[str, Any]:
    """Those of the detectors that the caller may see, by their codes; their areas stay what they are until the transaction ends."""
    named = select(detectors).where(detectors.c.code == func.any(sorted(codes)), covers(caller, detectors.c.area))
    return {each.code: each for each in await session.execute(named.order_by(detectors.c.code).with_for_update(read=True))}


async def save_series(session: AsyncSession, checked: Checked[SeriesIn], caller: Caller) -> LoadAnswer:
    """Take new series; place, names and zone are the detector's."""
    by_code = await _detectors(session, {row.detector for row in checked.rows.values()}, caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(checked.rows.items()):
        if row.detector not in by_code:
            checked.reject(number, "detector", "unknown-detector", _UNKNOWN.format(row.detector))
        elif row.property not in MEASURED.by_code:
            checked.reject(number, "property", "unknown-property", f"There is no property {row.property!r}; known are {', '.join(sorted(MEASURED.by_code))}.")
        else:
            rows[number] = _series(row, by_code[row.detector])
    merged = await merge(session, series, rows, key=("feature", "property"), recorded_by=caller.subject)
    for number, columns in merged.conflicts.items():
        why = f"This series exists with another {columns}, and its values rely on it. Declare a detector code of its own instead."
        checked.reject(number, "", "conflict", why)
    merged.conflicts.clear()
    merged.explain(checked, "series")
    return checked.answer(merged.taken, merged.corrected, merged.duplicates)


def _series(row: SeriesIn, detector: Any) -> dict[str, Any]:
    same = ("timezone", "name_zh", "name_en", "area", "lon", "lat")
    return {
        "feature": detector.code,
        "property": row.property,
        "unit": MEASURED.by_code[row.property].unit,
        "timing": row.timing.value,
        "interval_s": row.interval_s,
        "hour_needs": hour_needs(row.interval_s),
        "whole_hours": whole_hours(detector.timezone),
        **{name: getattr(detector, name) for name in same},
    }
