"""Merges samples and tests, judges what they touch, and tells of samples that failed."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.lots.actions import known_lots
from services.food.lots.domain import unmade
from services.food.models import laboratories, premises, samples, tests
from services.food.premises.actions import identifier
from services.food.samples.domain import beyond_all, readings_of, unit_of
from services.food.samples.judging import JUDGED, day_of, failures, judge_again, supersede, verdict
from services.food.samples.schemas import SampleIn, TestIn
from services.food.samples.tables import DIMENSIONS
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.outbox.record import record_all
from shared.places import Place, covers, place_rows
from shared.row_models import Checked, misdated
from shared.service import Runtime


async def save_samples(session: AsyncSession, batch: Checked[SampleIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new samples and, if `correct`, new facts about known ones, whose tests are then judged anew."""
    city = runtime.settings.city
    for number, row in list(batch.rows.items()):
        if fault := misdated(row.taken_at, now):
            batch.reject(number, "taken_at", "time-out-of-range", fault)
        elif unmade(row.made_on, row.taken_at):
            batch.reject(number, "made_on", "time-out-of-range", f"It was taken on {row.taken_at.date()}, before it was made.")
    places = await _places(session, batch, caller, runtime)
    known = await known_lots(session, {identifier(row.registry or city, row.lot) for row in batch.rows.values() if row.lot})
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        registry = row.registry or city
        lot = identifier(registry, row.lot) if row.lot else None
        if lot and lot not in known:
            batch.reject(number, "lot", "unknown-lot", f"No lot {row.lot!r} is recorded. Load lots before samples.")
            continue
        facts = row.model_dump(include={"number", "product", "name", "programme", "taken_at"})
        facts |= {"premises": identifier(registry, row.premises) if row.premises else None, "lot": lot}
        facts["made_on"] = row.made_on or (known[lot].made_on if lot else None)
        place = places[number]
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, **facts, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, samples.c.area)
    merged = await merge(session, samples, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "number")
    corrected = [rows[number]["id"] for number in merged.corrected]
    if corrected:
        record_all(session, await judge_again(session, (), corrected, caller.subject, now))
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def _places(session: AsyncSession, batch: Checked[SampleIn], caller: Caller, runtime: Runtime) -> dict[int, Place]:
    """Where each sample was taken: at its premises, or where it says; rows that are nowhere, or not the caller's, are rejected."""
    city = runtime.settings.city
    named = {number: identifier(row.registry or city, row.premises) for number, row in batch.rows.items() if row.premises}
    query = select(premises.c.id, premises.c.area, premises.c.lon, premises.c.lat)
    wanted = premises.c.id == any_(literal(sorted(set(named.values())), ARRAY(Text)))
    found = {row.id: Place(row.area, row.lon, row.lat) for row in await session.execute(query.where(wanted, covers(caller, premises.c.area)))}
    for number, owner in named.items():
        if owner not in found:
            batch.reject(number, "premises", "unknown-premises", f"No premises {batch.rows[number].premises!r} are recorded. Load premises first.")
    elsewhere = Checked({number: row for number, row in batch.rows.items() if number not in named})
    stated = await place_rows(elsewhere, runtime.areas, caller, runtime.settings.areas)
    for number, error in elsewhere.errors.items():
        batch.rows.pop(number, None)
        batch.errors.setdefault(number, error)
    return {number: found[owner] for number, owner in named.items() if owner in found} | stated


async def save_tests(session: AsyncSession, batch: Checked[TestIn], caller: Caller, city: str, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take new tests of known samples by known laboratories, each with its verdict; those that exceed and are recent become events."""
    for number, row in list(batch.rows.items()):
        if fault := _unreadable(row, now):
            batch.reject(number, *fault)
    taken = await _samples_of(session, {identifier(row.registry or city, row.sample) for row in batch.rows.values()}, caller)
    labs = await _laboratories_of(session, {identifier(row.registry or city, row.laboratory) for row in batch.rows.values()})
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        registry = row.registry or city
        of, by = identifier(registry, row.sample), identifier(registry, row.laboratory)
        if of not in taken:
            batch.reject(number, "sample", "unknown-sample", f"No sample {row.sample!r} is recorded. Load samples before tests.")
        elif by not in labs:
            batch.reject(number, "laboratory", "unknown-laboratory", f"No laboratory {row.laboratory!r} is recorded. Load laboratories first.")
        elif row.tested_at < taken[of].taken_at:
            batch.reject(number, "tested_at", "time-out-of-range", f"The sample was taken at {taken[of].taken_at.isoformat()}, after that.")
        else:
            own = {"id": identifier(registry, row.number), "registry": registry, "sample": of, "laboratory": by}
            facts = row.model_dump(include={"number", "analyte", "method", "result", "unit", "detection_limit", "uncertainty", "tested_at"})
            facts["retest_of"] = identifier(registry, row.retest_of) if row.retest_of else None
            day = day_of(taken[of].made_on, taken[of].taken_at)
            rows[number] = own | facts | verdict(row.analyte, row.result, row.unit, row.detection_limit, taken[of].product, day)
    mine = tests.c["sample"].in_(select(samples.c.id).where(covers(caller, samples.c.area)))
    merged = await merge(session, tests, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=mine, derived=JUDGED)
    merged.explain(batch, "number")
    new = [rows[number]["id"] for number in merged.taken]
    corrected = [rows[number]["id"] for number in merged.corrected]
    replaced = {rows[number]["retest_of"] for number in (*merged.taken, *merged.corrected)} - {None}
    await supersede(session, {*new, *corrected, *replaced}, caller.subject)
    again = await judge_again(session, corrected, (), caller.subject, now) if corrected else []
    record_all(session, [*(await failures(session, new, now) if new else []), *again])
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


def _unreadable(row: TestIn, now: datetime) -> tuple[str, str, str] | None:
    """Member, code and detail of what cannot be read or held against a limit."""
    if fault := misdated(row.tested_at, now):
        return "tested_at", "time-out-of-range", fault
    unit = unit_of(row.unit)
    if unit is None:
        return "unit", "unknown-unit", f"{row.unit!r} is no unit of a content, such as mg/kg, ug/L, g/100 g, CFU/g or /25 g."
    comparable = DIMENSIONS.get(row.analyte)
    if comparable and unit.dimension not in comparable:
        return (
            "unit",
            "unit-mismatch",
            f"{row.unit} ({unit.dimension}) cannot be converted to {', '.join(sorted(comparable))}, in which {row.analyte} is limited.",
        )
    try:
        readings = readings_of(row.result, Decimal(row.detection_limit) if row.detection_limit else None)
        if beyond_all(readings, unit):
            return "result", "impossible-result", f"{row.result[:100]} {row.unit} is more than the whole. Look at the unit."
    except ValueError as error:
        return "result", "unreadable-result", f"{error}."
    return None


async def _samples_of(session: AsyncSession, ids: set[str], caller: Caller) -> dict[str, Any]:
    columns = samples.c.id, samples.c.product, samples.c.made_on, samples.c.taken_at
    wanted = samples.c.id == any_(literal(sorted(ids), ARRAY(Text)))
    locked = select(*columns).where(wanted, covers(caller, samples.c.area)).order_by(samples.c.id).with_for_update(key_share=True)
    return {found.id: found for found in await session.execute(locked)}


async def _laboratories_of(session: AsyncSession, ids: set[str]) -> set[str]:
    return set(await session.scalars(select(laboratories.c.id).where(laboratories.c.id == any_(literal(sorted(ids), ARRAY(Text))))))
