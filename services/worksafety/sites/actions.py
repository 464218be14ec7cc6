"""Merges enterprises and sites; where the people around a site were counted anew, its units are graded anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.worksafety.inventories.judging import regrade, units_of_sites
from services.worksafety.models import enterprises, sites
from services.worksafety.sensors.reading import follow_sites
from services.worksafety.sites.reading import identifier
from services.worksafety.sites.schemas import EnterpriseIn, SiteIn
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import Checked
from shared.service import Runtime


async def save_enterprises(session: AsyncSession, batch: Checked[EnterpriseIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new enterprises and, if `correct`, new facts about known ones."""
    settings = runtime.settings
    rows: dict[int, dict[str, Any]] = {}
    for number, place in (await place_rows(batch, runtime.areas, caller, settings.areas)).items():
        row = batch.rows[number]
        registry = row.registry or settings.city
        stated = row.model_dump(include={"number", "name", "industry", "address"})
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, **stated, "area": place.area}
    mine = covers(caller, enterprises.c.area)
    merged = await merge(session, enterprises, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def save_sites(session: AsyncSession, batch: Checked[SiteIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new sites and, if `correct`, new facts about known ones, whose grades follow."""
    settings = runtime.settings
    places = await place_rows(batch, runtime.areas, caller, settings.areas)
    named = {identifier(row.registry or settings.city, row.enterprise) for row in batch.rows.values() if row.enterprise}
    known = await _enterprises(session, named, caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, place in places.items():
        row = batch.rows[number]
        registry = row.registry or settings.city
        enterprise = identifier(registry, row.enterprise) if row.enterprise else None
        if enterprise and enterprise not in known:
            batch.reject(number, "enterprise", "unknown-enterprise", f"No enterprise {row.enterprise!r} is recorded. Load enterprises before sites.")
            continue
        stated = row.model_dump(include={"number", "name", "address", "exposed"})
        rows[number] = {
            "id": identifier(registry, row.number),
            "registry": registry,
            "enterprise": enterprise,
            **stated,
            "area": place.area,
            "lon": place.lon,
            "lat": place.lat,
        }
    mine = covers(caller, sites.c.area)
    merged = await merge(session, sites, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    if merged.corrected:
        moved = [rows[number]["id"] for number in merged.corrected]
        await regrade(session, await units_of_sites(session, moved), caller.subject)
        await follow_sites(session, moved)
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def _enterprises(session: AsyncSession, ids: Iterable[str], caller: Caller) -> set[str]:
    """Which of these enterprises exist for the caller."""
    wanted = enterprises.c.id == any_(literal(sorted(ids), ARRAY(Text)))
    return set(await session.scalars(select(enterprises.c.id).where(wanted, covers(caller, enterprises.c.area))))
