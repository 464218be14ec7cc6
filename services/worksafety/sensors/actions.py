"""Merges sensors with their series, and tells of values that rise above a threshold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.models import sensors
from services.worksafety.sensors.domain import LIVE_FOR, alarms
from services.worksafety.sensors.reading import follow_sensors, fresh
from services.worksafety.sensors.schemas import SAFETY, SensorIn
from services.worksafety.sites.reading import identifier, sites_of
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.events.worksafety import ThresholdExceeded
from shared.loads import merge
from shared.outbox.record import record_all
from shared.row_models import Checked
from shared.series import Loaded, hour_needs, series, whole_hours


async def save_sensors(session: AsyncSession, batch: Checked[SensorIn], caller: Caller, city: str, timezone: str, *, correct: bool) -> LoadAnswer:
    """Take new sensors of known sites, each with its series, and, if `correct`, new facts about known ones, whose series follow."""
    owners = {number: identifier(row.registry or city, row.site) for number, row in batch.rows.items()}
    known = await sites_of(session, owners.values(), caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        if owners[number] not in known:
            batch.reject(number, "site", "unknown-site", f"No site {row.site!r} is recorded. Load sites before sensors.")
            continue
        stated = row.model_dump(include={"code", "property", "name", "cas", "alarm_low", "alarm_high"})
        rows[number] = {**stated, "site": owners[number]}
    mine = sensors.c.site.in_(sorted(known)) if not caller.everywhere else None
    merged = await merge(session, sensors, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "sensor")
    written = [rows[number] for number in (*merged.taken, *merged.corrected)]
    measured = {place: _series(row, known[row["site"]], timezone) for place, row in enumerate(written)}
    await merge(session, series, measured, key=("feature", "property"), recorded_by=caller.subject, derived=("area", "lon", "lat", "name_zh", "timezone"))
    if merged.corrected:
        await follow_sensors(session, [row["code"] for row in written])
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


def _series(row: dict[str, Any], site: Any, timezone: str) -> dict[str, Any]:
    return {
        "feature": row["code"],
        "property": row["property"],
        "unit": SAFETY.by_code[row["property"]].unit,
        "timing": "instant",
        "interval_s": None,
        "hour_needs": hour_needs(None),
        "timezone": timezone,
        "whole_hours": whole_hours(timezone),
        "name_zh": row["name"],
        "area": site.area,
        "lon": site.lon,
        "lat": site.lat,
    }


async def tell_alarms(session: AsyncSession, loaded: Loaded, now: datetime) -> None:
    """Tell of the values of a load that rose above a threshold; no query if all of it is history."""
    if loaded.until is None or loaded.since is None or loaded.until < now - LIVE_FOR:
        return
    placed = {(each.reading.sensor, each.reading.at): each for each in await fresh(session, {code for code, _ in loaded.measured}, loaded.since, now)}
    events = []
    for alarm in alarms((each.reading for each in placed.values()), now):
        reading = alarm.reading
        of = placed[reading.sensor, reading.at]
        events.append(
            ThresholdExceeded(
                area=of.area,
                site=of.site,
                sensor=reading.sensor,
                property=of.property,
                at=reading.at,
                value=reading.value,
                threshold=alarm.threshold,
                unit=SAFETY.by_code[of.property].unit,
                level=alarm.level,
            )
        )
    record_all(session, events)
