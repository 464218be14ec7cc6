"""Merges premises as their registries have them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text

from services.food.models import premises
from services.food.premises.schemas import PremisesIn
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import Checked
from shared.service import Runtime


def identifier(registry: str, number: str) -> str:
    """How a row is named everywhere: numbers are unique within the registry that gave them."""
    return f"{registry}:{number}"


async def save_premises(session: AsyncSession, batch: Checked[PremisesIn], caller: Caller, runtime: Runtime, *, correct: bool) -> LoadAnswer:
    """Take new premises and, if `correct`, new facts about known ones."""
    settings = runtime.settings
    places = await place_rows(batch, runtime.areas, caller, settings.areas)
    rows: dict[int, dict[str, Any]] = {}
    for number, place in places.items():
        row = batch.rows[number]
        registry = row.registry or settings.city
        stated = row.model_dump(include={"number", "name", "kind", "address", "postal_code"})
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, **stated, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, premises.c.area)
    merged = await merge(session, premises, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def premises_of(session: AsyncSession, ids: set[str], caller: Caller) -> dict[str, str]:
    """The area of each of these premises that exists for the caller, by id.

    They are locked until the end of the transaction: what one load says of them, the next one sees when it joins and judges.
    """
    wanted = premises.c.id == any_(literal(sorted(ids), ARRAY(Text)))
    query = select(premises.c.id, premises.c.area).where(wanted, covers(caller, premises.c.area)).order_by(premises.c.id).with_for_update(key_share=True)
    return dict(map(tuple, await session.execute(query)))
