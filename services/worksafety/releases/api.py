"""Releases: reported, revised, concluded, each in one transaction with the event that says so."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from services.worksafety.releases.actions import conclude, report, revise
from services.worksafety.releases.reading import release_of, shown
from services.worksafety.releases.schemas import Conclusion, ReleaseOut, ReleaseReport, ReleaseRevision
from shared.auth import Caller, may
from shared.database import Reader, Session
from shared.idempotency import Repeatable
from shared.service import Now

router = APIRouter(tags=["releases"])
Writer = Annotated[Caller, may("worksafety:write")]


@router.post("/releases", summary="Report a release", status_code=201, responses={201: {"model": ReleaseOut}}, response_class=Response)
async def report_release(request: Request, stated: ReleaseReport, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Report that a substance is escaping: the environment service answers with an outline, the fire service with units.

    The same request again with its `Idempotency-Key` reports nothing twice.
    """

    async def work() -> ReleaseOut:
        return await shown(session, await report(session, stated, caller, request.app.state.runtime, now))

    return await once(work, status=201)


@router.post("/releases/{release_id}", summary="Revise a release", responses={200: {"model": ReleaseOut}}, response_class=Response)
async def revise_release(release_id: str, stated: ReleaseRevision, session: Session, once: Repeatable, caller: Writer) -> Response:
    """Put other figures in the place of the recorded ones: the next revision, told to all as the first was."""

    async def work() -> ReleaseOut:
        return await shown(session, await revise(session, await release_of(session, release_id, caller, lock=True), stated, caller))

    return await once(work)


@router.post("/releases/{release_id}/conclude", summary="Conclude a release", responses={200: {"model": ReleaseOut}}, response_class=Response)
async def conclude_release(release_id: str, stated: Conclusion, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Nothing escapes any more: the outline is lifted, the roads open. A release that has ended stays as it is."""

    async def work() -> ReleaseOut:
        release = await release_of(session, release_id, caller, lock=True)
        return await shown(session, await conclude(session, release, stated.ended_at, caller, now))

    return await once(work)


@router.get("/releases/{release_id}", summary="A release with its timeline")
async def show_release(release_id: str, reader: Reader, caller: Annotated[Caller, may("worksafety:read", "hub:query")]) -> ReleaseOut:
    """What is known of a release, its newest outline, and what was known when."""
    return await shown(reader, await release_of(reader, release_id, caller))
