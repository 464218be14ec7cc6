"""Merges accidents as registers have them, graded where figures are known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.accidents.domain import accident_grade
from services.worksafety.accidents.schemas import AccidentIn
from services.worksafety.models import accidents
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import EARLIEST, SKEW, Checked
from shared.service import Runtime

_STATED = {
    *("number", "title", "narrative", "industry", "injury", "occupation", "cause", "deaths", "serious_injuries", "loss_cny"),
}


async def save_accidents(session: AsyncSession, batch: Checked[AccidentIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new accidents and, if `correct`, new facts about known ones."""
    settings = runtime.settings
    for number, row in list(batch.rows.items()):
        if row.on_day and not EARLIEST.date() <= row.on_day <= (now + SKEW).date():
            batch.reject(number, "happened_on", "misdated", f"{row.on_day} is no day between {EARLIEST.date()} and today.")
    places = await place_rows(batch, runtime.areas, caller, settings.areas, day=lambda row: row.on_day or now.date())
    rows: dict[int, dict[str, Any]] = {}
    for number, place in places.items():
        row = batch.rows[number]
        registry = row.registry or settings.city
        grade = accident_grade(row.deaths, row.serious_injuries, row.loss_cny)
        rows[number] = {
            "id": f"{registry}:{row.number}",
            "registry": registry,
            **row.model_dump(include=_STATED),
            "happened_on": row.on_day,
            "fall_m": row.fall_m,
            "grade": None if grade is None else int(grade),
            "area": place.area,
            "lon": place.lon,
            "lat": place.lat,
        }
    mine = covers(caller, accidents.c.area)
    merged = await merge(session, accidents, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)
