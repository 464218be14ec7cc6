"""Merges sites by their code, and tells of new ones in the same transaction."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.water.models import sites
from services.water.sites.domain import due_after
from services.water.sites.schemas import SiteIn
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.events.water import SiteRegistered
from shared.loads import merge
from shared.outbox.record import record_all
from shared.places import covers, place_rows
from shared.row_models import Checked
from shared.service import Runtime


async def save_sites(session: AsyncSession, batch: Checked[SiteIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new sites and, if `correct`, new facts about known ones."""
    rows: dict[int, dict[str, Any]] = {}
    for number, place in (await place_rows(batch, runtime.areas, caller, runtime.settings.areas)).items():
        row = batch.rows[number]
        inspected_at = row.inspected_at.astimezone(UTC) if row.inspected_at else None
        stated = row.model_dump(include={"code", "name_zh", "name_en", "kind", "capacity"})
        times = {"inspected_at": inspected_at, "due_at": due_after(row.kind, inspected_at)}
        rows[number] = {**stated, **times, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, sites.c.area)
    merged = await merge(session, sites, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "site")
    record_all(session, [SiteRegistered(area=rows[number]["area"], site=rows[number]["code"], kind=rows[number]["kind"]) for number in merged.taken])
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)
