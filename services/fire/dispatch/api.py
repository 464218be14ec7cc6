"""Units asked for, and the plans by which they are chosen."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert

from services.fire.calls.domain import KINDS
from services.fire.calls.schemas import Kind
from services.fire.dispatch.actions import want
from services.fire.dispatch.domain import ONE_ENGINE, OURS, PLAN
from services.fire.dispatch.schemas import DispatchIn, NeedIn, PlanIn, PlanOut
from services.fire.incidents.reading import found_incident, shown_incident
from services.fire.incidents.schemas import IncidentOut
from services.fire.models import response_plan
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, Forbidden
from shared.idempotency import Repeatable
from shared.row_models import Reference

router = APIRouter(tags=["dispatch"])
Writer = Annotated[Caller, may("fire:write")]
_ONE_PLAN_AT_A_TIME = text("SELECT pg_advisory_xact_lock(17993, 2)")


@router.post("/incidents/{incident}/dispatch", summary="Send units", status_code=202, responses={202: {"model": IncidentOut}}, response_class=Response)
async def dispatch(request: Request, incident: Reference, asked: DispatchIn, session: Session, once: Repeatable, caller: Writer) -> Response:
    """Send what the plan needs, or what is named here, soonest first; units that are with the incident count.

    It happens within a second: `GET /incidents/{incident}` then shows who goes, and `fire.units.dispatched` tells. Sent again, nobody goes twice.
    """

    async def work() -> IncidentOut:
        found = await found_incident(session, incident, caller)
        if found["closed_at"] is not None:
            raise Conflict(f"The incident {incident} is closed; a new call opens another.")
        if found["lon"] is None:
            raise Conflict(f"The incident {incident} has no place, so nobody can be sent there. Correct its call.")
        needs = [each.model_dump() for each in asked.needs] if asked.needs is not None else None
        await want(session, request.app.state.runtime, incident, dispatch=True, needs=needs)
        return await shown_incident(session, found)

    return await once(work, status=202)


@router.get("/response-plan", summary="What is sent to which kind of incident")
async def show_plan(session: Session, caller: Annotated[Caller, may("fire:read", "hub:query")]) -> list[PlanOut]:
    """The plan that holds for each kind: the city's own where it has one."""
    own: dict[str, PlanOut] = {}
    rows = await session.execute(select(response_plan).order_by(response_plan.c.incident_kind, response_plan.c.position))
    for row in rows.mappings():
        plan = own.setdefault(row["incident_kind"], PlanOut(incident_kind=row["incident_kind"], needs=[], source=row["source"]))
        plan.needs.append(NeedIn(unit_kinds=row["unit_kinds"], count=row["count"], capability=row["capability"]))
    return [own.get(kind) or _ours(kind) for kind in KINDS]


def _ours(kind: str) -> PlanOut:
    needs = [NeedIn(unit_kinds=list(need.kinds), count=need.count, capability=need.capability) for need in PLAN.get(kind, ONE_ENGINE)]
    return PlanOut(incident_kind=kind, needs=needs, source=OURS)


@router.put("/response-plan/{kind}", summary="Set the city's plan for a kind of incident")
async def set_plan(kind: Kind, plan: PlanIn, session: Session, caller: Writer) -> PlanOut:
    """It replaces the earlier one and holds for dispatches from now on. It is the whole city's, so the token must be for everywhere."""
    if not caller.everywhere:
        raise Forbidden("A response plan holds for the whole city; this token is for some areas only.")
    await session.execute(_ONE_PLAN_AT_A_TIME)
    await session.execute(delete(response_plan).where(response_plan.c.incident_kind == kind))
    rows: list[dict[str, Any]] = [
        {"incident_kind": kind, "position": place, **need.model_dump(), "source": plan.source, "recorded_by": caller.subject}
        for place, need in enumerate(plan.needs)
    ]
    if not rows:
        return _ours(kind)
    await session.execute(insert(response_plan), rows)
    return PlanOut(incident_kind=kind, needs=plan.needs, source=plan.source)
