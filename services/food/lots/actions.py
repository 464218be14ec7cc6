"""Merges lots and what happened to them; what refers to something unknown is rejected by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.lots.domain import in_unit_of_record, unmade
from services.food.lots.schemas import LotIn, MovementIn
from services.food.models import lots, movements, premises
from services.food.premises.actions import identifier
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers
from shared.row_models import Checked, misdated


async def known_premises(session: AsyncSession, ids: Collection[str]) -> dict[str, str]:
    """The area of each of these premises that is recorded, whoever asks: a lot may go to a city that the caller does not see."""
    wanted = premises.c.id == any_(literal(sorted(ids), ARRAY(Text)))
    return dict(map(tuple, await session.execute(select(premises.c.id, premises.c.area).where(wanted)))) if ids else {}


async def known_lots(session: AsyncSession, ids: Collection[str]) -> dict[str, Any]:
    """Unit, product, day of making and premises of each of these lots that is recorded."""
    wanted = lots.c.id == any_(literal(sorted(ids), ARRAY(Text)))
    columns = lots.c.id, lots.c.unit, lots.c.product, lots.c.made_on, lots.c.premises
    return {found.id: found for found in await session.execute(select(*columns).where(wanted))} if ids else {}


async def save_lots(session: AsyncSession, batch: Checked[LotIn], caller: Caller, city: str, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new lots of known premises and, if `correct`, new facts about known ones; what has moved in kilograms is not counted in pieces afterwards."""
    for number, row in list(batch.rows.items()):
        if fault := unmade(row.made_on, now):
            batch.reject(number, "made_on", "time-out-of-range", fault)
    named = {number: identifier(row.registry or city, row.premises) for number, row in batch.rows.items()}
    known = await known_premises(session, set(named.values()))
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        if named[number] not in known or not caller.sees_area(known[named[number]]):
            batch.reject(number, "premises", "unknown-premises", f"No premises {row.premises!r} are recorded. Load premises first.")
            continue
        registry = row.registry or city
        quantity, unit = in_unit_of_record(row.quantity, row.unit)
        facts = row.model_dump(include={"number", "product", "name", "made_on", "expires_on"})
        made = {"premises": named[number], "quantity": quantity, "unit": unit}
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, **facts, **made}
    if correct:
        for number in await _counted_otherwise(session, rows):
            batch.reject(number, "unit", "unit-mismatch", "It has moved, counted in another unit. Record it anew under another number.")
            del rows[number]
    mine = lots.c.premises.in_(select(premises.c.id).where(covers(caller, premises.c.area)))
    merged = await merge(session, lots, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def _counted_otherwise(session: AsyncSession, rows: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The rows that would change the unit of a lot that has moved."""
    known = await known_lots(session, {row["id"] for row in rows.values()})
    other = {number: row["id"] for number, row in rows.items() if row["id"] in known and known[row["id"]].unit != row["unit"]}
    if not other:
        return []
    wanted = movements.c.lot == any_(literal(sorted(set(other.values())), ARRAY(Text)))
    moved = set(await session.scalars(select(movements.c.lot).where(wanted).distinct()))
    return [number for number, lot in other.items() if lot in moved]


async def save_movements(session: AsyncSession, batch: Checked[MovementIn], caller: Caller, city: str, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new movements of known lots at known premises of the caller's areas and, if `correct`, new facts about known ones."""
    for number, row in list(batch.rows.items()):
        if misdate := misdated(row.at, now):
            batch.reject(number, "at", "time-out-of-range", misdate)
    there = await known_premises(session, set(_named(batch, city, lambda row: (row.premises, row.partner))))
    there_lots = await known_lots(session, set(_named(batch, city, lambda row: (row.lot,))))
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        registry = row.registry or city
        quantity, unit = in_unit_of_record(row.quantity, row.unit)
        lot, place = identifier(registry, row.lot), identifier(registry, row.premises)
        partner = identifier(registry, row.partner) if row.partner else None
        fault = _fault(row, place in there and caller.sees_area(there[place]), partner is None or partner in there, there_lots.get(lot), unit)
        if fault:
            batch.reject(number, *fault)
            continue
        own = identifier(registry, row.number)
        rows[number] = {
            "id": own,
            "registry": registry,
            "number": row.number,
            "kind": row.kind,
            "event": identifier(registry, row.event) if row.event else own,
            "at": row.at,
            "lot": lot,
            "premises": place,
            "partner": partner,
            "quantity": quantity,
        }
    mine = movements.c.premises.in_(select(premises.c.id).where(covers(caller, premises.c.area)))
    merged = await merge(session, movements, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


def _named(batch: Checked[MovementIn], city: str, of: Callable[[MovementIn], Iterable[str | None]]) -> Iterable[str]:
    return (identifier(row.registry or city, name) for row in batch.rows.values() for name in of(row) if name)


def _fault(row: MovementIn, place: bool, partner: bool, lot: Any, unit: str) -> tuple[str, str, str] | None:
    """Member, code and detail of the first reference that leads nowhere."""
    if not place:
        return "premises", "unknown-premises", f"No premises {row.premises!r} are recorded. Load premises first."
    if not partner:
        return "partner", "unknown-premises", f"No premises {row.partner!r} are recorded. Load premises first."
    if lot is None:
        return "lot", "unknown-lot", f"No lot {row.lot!r} is recorded. Load lots before movements."
    if lot.unit != unit:
        return "unit", "unit-mismatch", f"{row.unit} cannot be converted to {lot.unit}, in which the lot is counted."
    return None
