"""Closures: opened, revised and ended by people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from ulid import ULID

from services.traffic.closures.actions import end_closure, found_closure, open_closure, revise_closure
from services.traffic.closures.schemas import ClosureIn, ClosureOut, Revised
from shared.auth import Caller, may
from shared.database import Reader, Session
from shared.idempotency import Repeatable
from shared.service import Now

router = APIRouter(tags=["closures"])
Writer = Annotated[Caller, may("traffic:write")]
ClosureId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._~-]+$")]


@router.post("/closures", summary="Close roads", status_code=201, responses={201: {"model": ClosureOut}}, response_class=Response)
async def open_one(request: Request, given: ClosureIn, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Close an area, or the road along a line, from now on or at a time to come. Ways go around it as long as it holds, and it ends by its own time."""

    async def work() -> ClosureOut:
        return ClosureOut.model_validate(dict(await open_closure(session, given, caller, request.app.state.runtime, now, str(ULID()))))

    return await once(work, status=201)


@router.post("/closures/{closure_id}", summary="Revise a closure", responses={200: {"model": ClosureOut}}, response_class=Response)
async def revise_one(request: Request, closure_id: ClosureId, given: Revised, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Other times, or another geometry; what is not given stays. That of a release follows its outline and is not revised by hand."""

    async def work() -> ClosureOut:
        known = await found_closure(session, closure_id, caller, lock=True)
        return ClosureOut.model_validate(dict(await revise_closure(session, known, given, caller, request.app.state.runtime, now)))

    return await once(work)


@router.post("/closures/{closure_id}/end", summary="End a closure", responses={200: {"model": ClosureOut}}, response_class=Response)
async def end_one(request: Request, closure_id: ClosureId, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Open the roads again from now on. That of a release ends when its outline is lifted."""

    async def work() -> ClosureOut:
        known = await found_closure(session, closure_id, caller, lock=True)
        return ClosureOut.model_validate(dict(await end_closure(session, known, caller, request.app.state.runtime, now)))

    return await once(work)


@router.get("/closures/{closure_id}", summary="A closure")
async def show_one(closure_id: ClosureId, reader: Reader, caller: Annotated[Caller, may("traffic:read", "hub:query")]) -> ClosureOut:
    """A closure as it stands. All of them, over or not, are the dataset `traffic.closures`."""
    return ClosureOut.model_validate(dict(await found_closure(reader, closure_id, caller)))
