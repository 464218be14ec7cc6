"""Reads a recall as a caller may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.food.models import lots, premises, recall_lots, recall_premises, recalls
from shared.caller import Caller
from shared.errors import NotFound
from shared.places import covers

LISTED = 20_000
"""Most lots and premises that an answer names."""


def sees(caller: Caller, place: ColumnElement[str]) -> ColumnElement[bool]:
    """That premises lie in the caller's areas."""
    return place.in_(select(premises.c.id).where(covers(caller, premises.c.area)))


async def read_recall(asker: AsyncConnection | AsyncSession, recall: str, caller: Caller, now: datetime) -> dict[str, Any]:
    """The recall, if it or any of its premises lies in the caller's areas. Raises `NotFound`."""
    at = recall_premises.c.recall == recall
    concerned = select(recall_premises.c.recall).where(at, sees(caller, recall_premises.c.premises))
    mine = or_(covers(caller, recalls.c.area), recalls.c.id.in_(concerned))
    found = (await asker.execute(select(recalls).where(recalls.c.id == recall, mine))).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no recall {recall[:100]!r}.")
    done = {name: func.count(recall_premises.c[f"{name}_at"]).label(name) for name in ("informed", "removed", "finished")}
    counted = (await asker.execute(select(func.count().label("all"), *done.values()).where(at))).mappings().one()
    place = recall_premises.join(premises, premises.c.id == recall_premises.c.premises)
    columns = [column for column in recall_premises.columns if column.name not in ("id", "recall", "recorded_at", "recorded_by")]
    query = (
        select(*columns, premises.c.name, premises.c.area).select_from(place).where(at, covers(caller, premises.c.area)).order_by(premises.c.id).limit(LISTED)
    )
    places = [dict(row) for row in (await asker.execute(query)).mappings()]
    named = (
        select(recall_lots.c.lot, recall_lots.c.asked, recall_lots.c.amount)
        .join(lots, lots.c.id == recall_lots.c.lot)
        .where(recall_lots.c.recall == recall, or_(recall_lots.c.asked, sees(caller, lots.c.premises)))
        .order_by(recall_lots.c.asked.desc(), recall_lots.c.lot)
        .limit(LISTED)
    )
    called = [dict(row) for row in (await asker.execute(named)).mappings()]
    late = found["closed_at"] is None and now > found["start_by"] and not counted["informed"]
    shown = {name: found[name] for name in found if name not in ("registry", "number", "recorded_at", "recorded_by")}
    figures = {name: counted[name] for name in ("informed", "removed", "finished")}
    return {**shown, **figures, "overdue": late, "lots": called, "premises": places, "beyond_scope": counted["all"] - len(places)}
