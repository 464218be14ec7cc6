"""Inspections and findings: loaded in bulk, or reported one by one with all that was found."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.food.inspections.actions import judge_and_tell, save_findings, save_inspections, take_findings, take_inspections
from services.food.inspections.schemas import FindingIn, InspectionIn, InspectionReport
from services.food.models import findings, inspections
from services.food.premises.actions import premises_of
from services.food.premises.schemas import InspectionOut
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.errors import Conflict, NotFound
from shared.idempotency import Repeatable
from shared.loads import refusal
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["inspections"])
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
Writer = Annotated[Caller, may("food:write")]
_INSPECTION = {"number": "2026-0815", "premises": "JY24303020012345", "inspected_at": "2026-11-22T10:30:00+08:00", "kind": "routine_unannounced", "score": 83}
_FINDING = {"number": "2026-0815-1", "inspection": "2026-0815", "code": "103109", "risk": "high", "description": "生熟混放"}
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"model": LoadAnswer}}


@router.post("/inspections", summary="Load inspections", openapi_extra=batch_docs(InspectionIn, _INSPECTION), responses=_ANSWER, response_class=Response)
async def load_inspections(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[InspectionIn], batch_of(InspectionIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; their premises must be recorded. An inspection that fails and is at most a week old becomes an event."""
    city = request.app.state.runtime.settings.city

    async def work() -> LoadAnswer:
        return await save_inspections(session, batch, caller, city, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post("/findings", summary="Load findings", openapi_extra=batch_docs(FindingIn, _FINDING), responses=_ANSWER, response_class=Response)
async def load_findings(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[FindingIn], batch_of(FindingIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent. A finding names its inspection, or its premises and time.

    In the second case it joins the inspection of those premises at that time, with a score if there are several; until there is one, it stands alone.
    """
    city = request.app.state.runtime.settings.city

    async def work() -> LoadAnswer:
        return await save_findings(session, batch, caller, city, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post(
    "/premises/{premises_id}/inspections",
    summary="Report an inspection",
    status_code=201,
    responses={201: {"model": InspectionOut}},
    response_class=Response,
)
async def report_inspection(premises_id: str, report: InspectionReport, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Record an inspection just made and all that was found; says whether it failed, and by which rule."""

    async def work() -> InspectionOut:
        if premises_id not in await premises_of(session, {premises_id}, caller):
            raise NotFound(f"There are no premises {premises_id[:100]!r}.")
        registry, _, number = premises_id.partition(":")
        inspection = report.number or str(ULID())
        row = InspectionIn(registry=registry, number=inspection, premises=number, inspected_at=report.inspected_at, kind=report.kind, score=report.score)
        batch = Checked({0: row})
        answer, touched = await take_inspections(session, batch, caller, registry, now)
        _whole(answer, 1, "POST /inspections")
        listed = Checked(
            {
                place: FindingIn(registry=registry, number=f"{inspection}-{place + 1}", inspection=inspection, **finding.model_dump())
                for place, finding in enumerate(report.findings)
            }
        )
        answer, _ = await take_findings(session, listed, caller, registry, now)
        _whole(answer, len(report.findings), "POST /findings")
        await judge_and_tell(session, touched, caller, now)
        return await _inspection(session, f"{registry}:{inspection}")

    return await once(work, status=201)


def _whole(answer: LoadAnswer, rows: int, corrected_by: str) -> None:
    """A report is taken whole or not at all."""
    if answer.errors:
        raise refusal(answer, corrected_by=corrected_by)
    if answer.taken != rows:
        raise Conflict("An inspection with this number is recorded already. Send no number for a new one.", pointer="/number")


async def _inspection(session: AsyncSession, inspection_id: str) -> InspectionOut:
    row = (await session.execute(select(inspections).where(inspections.c.id == inspection_id))).mappings().one()
    found = await session.execute(select(findings).where(findings.c.inspection == inspection_id).order_by(findings.c.number))
    return InspectionOut.model_validate({**row, "findings": [dict(each) for each in found.mappings()]})
