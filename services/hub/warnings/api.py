"""Warnings over HTTP: drafted, approved by a second person, issued."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.events.models import EventRow
from services.hub.warnings import actions
from services.hub.warnings.actions import found, to_change
from services.hub.warnings.schemas import IssueIn, PeersWarning, Reviewed, WarningChange, WarningIn, WarningOut
from shared.auth import Caller, may
from shared.database import Session
from shared.events.intercity import WarningReceived
from shared.idempotency import Repeatable
from shared.places import covers
from shared.service import Now, Runtime

router = APIRouter(tags=["warnings"])
Officer = Annotated[Caller, may("hub:command")]
Looker = Annotated[Caller, may("hub:query", "hub:events", "hub:command")]
Which = Annotated[str, Path(max_length=60)]
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"model": WarningOut},
    201: {"model": WarningOut},
    409: {"description": "Changed meanwhile, or in another state"},
}


@router.post("/warnings", status_code=201, summary="Draft a warning", responses=_SHOWN, response_class=Response)
async def draft_warning(warning: WarningIn, request: Request, session: Session, once: Repeatable, officer: Officer, now: Now) -> Response:
    """From nothing, or from an incident: its area, and the newest outline of its release. A draft says nothing to anybody."""

    async def work() -> WarningOut:
        return await _now(session, await actions.draft(session, _runtime(request), warning, officer, now), officer)

    return await once(work, status=201)


@router.get("/warnings/received", summary="Warnings that peer cities sent, the newest first")
async def received(session: Session, caller: Looker, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[PeersWarning]:
    """Apart from our own: whoever sent them answers for them, and nothing of them is on our feed."""
    wanted = EventRow.type == WarningReceived.type, covers(caller, EventRow.__table__.c.area)
    columns = (EventRow.position, EventRow.recorded_at, cast(EventRow.envelope, Text))
    rows = await session.execute(select(*columns).where(*wanted).order_by(EventRow.position.desc()).limit(limit))
    return [PeersWarning(position=row[0], received_at=row[1], event=orjson.loads(row[2])) for row in rows]


@router.get("/warnings/{warning}", summary="A warning in whatever state", responses=_SHOWN)
async def show_warning(warning: Which, session: Session, caller: Looker, response: Response) -> WarningOut:
    row = await found(session, warning, caller)
    response.headers["ETag"] = f'"{row["revision"]}"'
    return WarningOut.model_validate(dict(row))


@router.put("/warnings/{warning}", summary="Change a draft", responses=_SHOWN)
async def change_draft(warning: Which, stated: WarningChange, request: Request, session: Session, officer: Officer, now: Now) -> WarningOut:
    """The whole draft anew, until it is approved. Whoever changes it cannot approve it. Earlier drafts are kept."""
    row = await to_change(session, warning, officer, stated.revision)
    await actions.redraft(session, _runtime(request), row, stated, officer, now)
    return await _now(session, warning, officer)


@router.post("/warnings/{warning}/approve", summary="Approve a draft that others wrote", responses=_SHOWN)
async def approve(warning: Which, reviewed: Reviewed, session: Session, officer: Officer, now: Now) -> WarningOut:
    await actions.approve(session, await to_change(session, warning, officer, reviewed.revision), officer, now)
    return await _now(session, warning, officer)


@router.post("/warnings/{warning}/withdraw", summary="Give up a draft or an approved warning", responses=_SHOWN)
async def withdraw(warning: Which, reviewed: Reviewed, session: Session, officer: Officer) -> WarningOut:
    await actions.withdraw(session, await to_change(session, warning, officer, reviewed.revision), officer)
    return await _now(session, warning, officer)


@router.post("/warnings/{warning}/issue", summary="Issue an approved warning as CAP 1.2", responses=_SHOWN)
async def issue(warning: Which, given: IssueIn, request: Request, session: Session, officer: Officer, now: Now) -> WarningOut:
    """In the name of an authority and by a legal basis, both recorded. The same request again answers the same and issues nothing."""
    row = await found(session, warning, officer, lock=True)
    await actions.issue(session, _runtime(request), row, given, officer, now)
    return await _now(session, warning, officer)


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


async def _now(session: AsyncSession, warning: str, caller: Caller) -> WarningOut:
    return WarningOut.model_validate(dict(await found(session, warning, caller)))
