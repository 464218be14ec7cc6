"""Merges incidents as their registries have them, and tells of new ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.traffic.incidents.schemas import IncidentIn
from services.traffic.models import incidents
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.events.traffic import TrafficIncidentReported
from shared.loads import merge
from shared.outbox.record import record_all
from shared.places import covers, place_rows
from shared.row_models import Checked, misdated
from shared.runtime import Runtime

NEWS = timedelta(hours=6)
"""What is recorded later than this is no news."""
_STATED = {"number", "kind", "severity", "occurred_at", "cleared_at", "road_class", "pedestrian", "cyclist"}


def identifier(registry: str, number: str) -> str:
    """How an incident is named everywhere: numbers are unique within the registry that gave them."""
    return f"{registry}:{number}"


async def save_incidents(
    session: AsyncSession, batch: Checked[IncidentIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool = False
) -> LoadAnswer:
    """Take new incidents and, if `correct`, new facts about known ones; tell of new ones that have just happened."""
    for number, row in list(batch.rows.items()):
        for member, at in (("occurred_at", row.occurred_at), ("cleared_at", row.cleared_at)):
            if at is not None and (fault := misdated(at, now)):
                batch.reject(number, member, "time-out-of-range", fault)
                break
    settings = runtime.settings
    places = await place_rows(batch, runtime.areas, caller, settings.areas, day=lambda row: row.occurred_at.date())
    rows: dict[int, dict[str, Any]] = {}
    for number, place in places.items():
        row = batch.rows[number]
        registry = row.registry or settings.city
        stated = {"id": identifier(registry, row.number), "registry": registry, **row.model_dump(include=_STATED)}
        rows[number] = {**stated, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, incidents.c.area)
    merged = await merge(session, incidents, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "incident")
    record_all(session, [_event(rows[number]) for number in merged.taken if rows[number]["occurred_at"] > now - NEWS])
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


def _event(row: Mapping[str, Any]) -> TrafficIncidentReported:
    return TrafficIncidentReported(incident=row["id"], **{name: row[name] for name in ("area", "kind", "severity", "occurred_at", "lon", "lat")})
