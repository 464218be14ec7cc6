"""Incidents on roads: reported one by one as they happen, or loaded in bulk."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.traffic.incidents.actions import identifier, save_incidents
from services.traffic.incidents.schemas import IncidentIn, IncidentOut
from services.traffic.models import incidents
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import NotFound
from shared.idempotency import Repeatable
from shared.loads import refusal
from shared.places import covers
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["incidents"])
Writer = Annotated[Caller, may("traffic:write")]
_EXAMPLE = {"number": "2026112200031", "kind": "crash", "severity": "minor", "occurred_at": "2026-11-22T07:41:00+08:00", "area": "430304"}


@router.put(
    "/incidents",
    summary="Load incidents",
    openapi_extra=batch_docs(IncidentIn, _EXAMPLE),
    responses={200: {"model": LoadAnswer}},
    response_class=Response,
)
async def load_incidents(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[IncidentIn], batch_of(IncidentIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent. A number that is recorded with other facts is a `conflict` unless `correct=true`. Those over six hours old are told to nobody."""

    async def work() -> LoadAnswer:
        return await save_incidents(session, batch, caller, request.app.state.runtime, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post("/incidents", summary="Report an incident", status_code=201, responses={201: {"model": IncidentOut}}, response_class=Response)
async def report_incident(request: Request, incident: IncidentIn, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Report what has just happened on a road; it becomes an event at once. The same report again gives the same answer."""

    async def work() -> IncidentOut:
        runtime = request.app.state.runtime
        answer = await save_incidents(session, Checked({0: incident}), caller, runtime, now)
        if answer.errors:
            raise refusal(answer, corrected_by="PUT /incidents")
        return await _found(session, identifier(incident.registry or runtime.settings.city, incident.number), caller)

    return await once(work, status=201)


@router.get("/incidents/{incident_id}", summary="An incident")
async def show_incident(
    incident_id: Annotated[str, Path(min_length=3, max_length=201)], reader: Reader, caller: Annotated[Caller, may("traffic:read", "hub:query")]
) -> IncidentOut:
    """An incident as it is recorded. The id is `<registry>:<number>`."""
    return await _found(reader, incident_id, caller)


async def _found(connection: AsyncSession | AsyncConnection, incident_id: str, caller: Caller) -> IncidentOut:
    query = select(incidents).where(incidents.c.id == incident_id, covers(caller, incidents.c.area))
    row = (await connection.execute(query)).mappings().one_or_none() if "\0" not in incident_id else None
    if row is None:
        raise NotFound(f"There is no incident {incident_id[:100]!r}.")
    return IncidentOut.model_validate(dict(row))
