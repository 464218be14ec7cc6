"""Merges laboratories as their registries have them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.food.laboratories.schemas import LaboratoryIn
from services.food.models import laboratories
from services.food.premises.actions import identifier
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import Checked
from shared.service import Runtime

_STATED = {"number", "name", "kind", "cma", "cma_until", "cnas", "cnas_until"}


async def save_laboratories(session: AsyncSession, batch: Checked[LaboratoryIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new laboratories and, if `correct`, new facts about known ones."""
    places = await place_rows(batch, runtime.areas, caller, runtime.settings.areas)
    rows: dict[int, dict[str, Any]] = {}
    for number, place in places.items():
        row = batch.rows[number]
        registry = row.registry or runtime.settings.city
        facts = row.model_dump(include=_STATED)
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, **facts, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, laboratories.c.area)
    merged = await merge(session, laboratories, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)
