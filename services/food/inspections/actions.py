"""Merges inspections and findings, joins them, and judges what they touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, any_, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.food.inspections.judging import judge, link_findings
from services.food.inspections.schemas import FindingIn, InspectionIn
from services.food.models import findings, inspections, premises
from services.food.premises.actions import identifier, premises_of
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import Merged, merge
from shared.outbox.record import record_all
from shared.places import covers
from shared.row_models import Checked, misdated

_AT_THAT_TIME = text("""
    SELECT DISTINCT ON (premises, inspected_at) premises, inspected_at, id FROM inspections
    WHERE (premises, inspected_at) IN (
        SELECT premises, found_at FROM unnest(CAST(:premises AS text[]), CAST(:times AS timestamptz[])) AS wanted (premises, found_at)
    )
    ORDER BY premises, inspected_at, score IS NULL, number
""")


async def save_inspections(
    session: AsyncSession, batch: Checked[InspectionIn], caller: Caller, city: str, now: datetime, *, correct: bool = False
) -> LoadAnswer:
    """Take new inspections of known premises and, if `correct`, new facts about known ones; judge them and tell of those that fail."""
    answer, touched = await take_inspections(session, batch, caller, city, now, correct=correct)
    await judge_and_tell(session, touched, caller, now)
    return answer


async def save_findings(session: AsyncSession, batch: Checked[FindingIn], caller: Caller, city: str, now: datetime, *, correct: bool = False) -> LoadAnswer:
    """Take new findings and, if `correct`, new facts about known ones; judge their inspections and tell of those that now fail."""
    answer, touched = await take_findings(session, batch, caller, city, now, correct=correct)
    await judge_and_tell(session, touched, caller, now)
    return answer


async def judge_and_tell(session: AsyncSession, touched: set[str], caller: Caller, now: datetime) -> None:
    """Judge inspections after all that belongs to them has been taken, so that their event is complete."""
    record_all(session, await judge(session, touched, caller.subject, now))


async def take_inspections(
    session: AsyncSession, batch: Checked[InspectionIn], caller: Caller, city: str, now: datetime, *, correct: bool = False
) -> tuple[LoadAnswer, set[str]]:
    """The rows taken, and the inspections to be judged: theirs, and those that waiting findings joined."""
    _refuse_misdated(batch, ((number, "inspected_at", row.inspected_at) for number, row in batch.rows.items()), now)
    ids = {number: identifier(row.registry or city, row.premises) for number, row in batch.rows.items()}
    known = await premises_of(session, set(ids.values()), caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        if ids[number] not in known:
            _refuse_unknown_premises(batch, number, row.premises)
            continue
        registry = row.registry or city
        stated = row.model_dump(include={"number", "inspected_at", "kind", "score"})
        rows[number] = {"id": identifier(registry, row.number), "registry": registry, "premises": ids[number], **stated}
    merged = await merge(
        session, inspections, rows, key=("id",), recorded_by=caller.subject, correct=correct, correctable=_mine(inspections.c.premises, caller)
    )
    merged.explain(batch, "number")
    touched = [rows[number]["id"] for number in (*merged.taken, *merged.corrected)]
    linked = await link_findings(session, touched, caller.subject)
    return _answer(batch, merged), {*touched, *linked}


async def take_findings(
    session: AsyncSession, batch: Checked[FindingIn], caller: Caller, city: str, now: datetime, *, correct: bool = False
) -> tuple[LoadAnswer, set[str]]:
    """The rows taken, and the inspections to be judged anew.

    A finding that names no inspection joins the one of its premises at the same time; if there is none yet, it waits for one.
    """
    _refuse_misdated(batch, ((number, "found_at", row.found_at) for number, row in batch.rows.items() if row.found_at), now)
    named = {identifier(row.registry or city, row.inspection) for row in batch.rows.values() if row.inspection}
    by_id = await _inspections_of(session, named, caller)
    owners = {identifier(row.registry or city, row.premises) for row in batch.rows.values() if row.premises}
    known = await premises_of(session, owners | {inspection.premises for inspection in by_id.values()}, caller)
    rows: dict[int, dict[str, Any]] = {}
    for number, row in list(batch.rows.items()):
        registry = row.registry or city
        belongs = _belongs(batch, number, row, registry, by_id, known)
        if belongs:
            stated = row.model_dump(include={"number", "code", "risk", "description"})
            rows[number] = {"id": identifier(registry, row.number), "registry": registry, **belongs, **stated}
    await _join_inspections(session, rows)
    merged = await merge(
        session,
        findings,
        rows,
        key=("id",),
        recorded_by=caller.subject,
        correct=correct,
        correctable=_mine(findings.c.premises, caller),
        derived=("inspection",),
    )
    merged.explain(batch, "number")
    touched = {rows[number]["inspection"] for number in (*merged.taken, *merged.corrected)} - {None}
    return _answer(batch, merged), touched


def _belongs(
    batch: Checked[FindingIn], number: int, row: FindingIn, registry: str, by_id: Mapping[str, Any], known: Mapping[str, str]
) -> dict[str, Any] | None:
    """Premises, inspection and time of a finding; None, and the row rejected, if they are not there."""
    if row.inspection is not None:
        inspection = by_id.get(identifier(registry, row.inspection))
        if inspection is None:
            batch.reject(number, "inspection", "unknown-inspection", f"No inspection {row.inspection!r} is recorded. Load inspections before findings.")
            return None
        return {"premises": inspection.premises, "inspection": inspection.id, "found_at": inspection.inspected_at}
    owner = identifier(registry, row.premises or "")
    if owner not in known:
        _refuse_unknown_premises(batch, number, row.premises or "")
        return None
    return {"premises": owner, "inspection": None, "found_at": row.found_at}


async def _join_inspections(session: AsyncSession, rows: Mapping[int, dict[str, Any]]) -> None:
    waiting = [row for row in rows.values() if row["inspection"] is None]
    if waiting:
        wanted = {"premises": [row["premises"] for row in waiting], "times": [row["found_at"] for row in waiting]}
        there = {(found.premises, found.inspected_at): found.id for found in await session.execute(_AT_THAT_TIME, wanted)}
        for row in waiting:
            row["inspection"] = there.get((row["premises"], row["found_at"]))


async def _inspections_of(session: AsyncSession, ids: set[str], caller: Caller) -> dict[str, Any]:
    query = (
        select(inspections.c.id, inspections.c.premises, inspections.c.inspected_at)
        .join(premises, premises.c.id == inspections.c.premises)
        .where(inspections.c.id == any_(literal(sorted(ids), ARRAY(Text))), covers(caller, premises.c.area))
    )
    return {found.id: found for found in await session.execute(query)} if ids else {}


def _mine(owner: ColumnElement[str], caller: Caller) -> ColumnElement[bool]:
    """That recorded rows belong to premises in the caller's areas: nobody else's are corrected, or told of."""
    return owner.in_(select(premises.c.id).where(covers(caller, premises.c.area)))


def _refuse_misdated(batch: Checked[Any], times: Iterable[tuple[int, str, datetime]], now: datetime) -> None:
    for number, member, at in list(times):
        fault = misdated(at, now)
        if fault:
            batch.reject(number, member, "time-out-of-range", fault)


def _refuse_unknown_premises(batch: Checked[Any], number: int, premises_number: str) -> None:
    batch.reject(number, "premises", "unknown-premises", f"No premises {premises_number!r} are recorded. Load premises first.")


def _answer(batch: Checked[Any], merged: Merged) -> LoadAnswer:
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)
