"""Calls and responses: one by one as they happen, or in bulk afterwards."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import and_, func, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.fire.calls.actions import identifier, response_values, save_calls, save_responses, sum_up
from services.fire.calls.domain import is_news
from services.fire.calls.performance import of_station, performance
from services.fire.calls.schemas import CallIn, CallOut, Performance, ResponseIn, UnitReport
from services.fire.incidents.actions import open_or_join, opening_of
from services.fire.models import calls, responses
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import Conflict, InvalidBody, InvalidRequest, NotFound
from shared.idempotency import Repeatable
from shared.loads import merge, refusal
from shared.places import covers
from shared.row_models import AreaCode, Checked, OffsetTime, Reference, batch_docs, batch_of, misdated
from shared.service import Now

router = APIRouter(tags=["calls"])
Writer = Annotated[Caller, may("fire:write")]
_CALL = {"kind": "structure_fire", "priority": "emergency", "received_at": "2026-11-22T07:58:10+08:00", "area": "430304003"}
_EXAMPLE = {
    "number": "2026112200017",
    **_CALL,
    "unit": "YT-1",
    "unit_kind": "engine",
    "dispatched_at": "2026-11-22T07:58:50+08:00",
    "en_route_at": "2026-11-22T07:59:40+08:00",
    "on_scene_at": "2026-11-22T08:03:05+08:00",
}
_MOMENTS = ("en_route_at", "on_scene_at", "transport_at", "hospital_at", "available_at")


@router.post(
    "/responses",
    summary="Load units' responses with their calls",
    openapi_extra=batch_docs(ResponseIn, _EXAMPLE),
    responses={200: {"model": LoadAnswer}},
    response_class=Response,
)
async def load_responses(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[ResponseIn], batch_of(ResponseIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
    historic: Annotated[bool, Query(description="Tell nobody of these calls; those over six hours old are never told")] = False,
) -> Response:
    """One row for each unit that responded to a call; every row states its call, all rows of a call alike.

    Rows are independent, but a call whose rows disagree is rejected with all of them. Times out of order are kept and flagged (`quality` 3);
    a duration between two such times stays unknown. A call's response time runs from its receipt to the first unit on scene.
    """

    async def work() -> LoadAnswer:
        return await save_responses(session, batch, caller, request.app.state.runtime, now, correct=correct, historic=historic)

    return await once(work, body_digest=batch.digest)


@router.post("/calls", summary="Record a call", status_code=201, responses={201: {"model": CallOut}}, response_class=Response)
async def record_call(request: Request, call: CallIn, session: Session, once: Repeatable, caller: Writer, now: Now) -> Response:
    """Record a call that has just come in; it becomes an event at once. The same call again gives the same answer.

    An emergency opens an incident, or joins one of its kind that was opened within ten minutes and 300 m and is still open.
    """

    async def work() -> CallOut:
        runtime = request.app.state.runtime
        answer = await save_calls(session, Checked({0: call}), caller, runtime, now)
        if answer.errors:
            raise refusal(answer, corrected_by="POST /responses")
        if answer.taken and call.priority == "emergency" and is_news(call.received_at, now):
            row = await _found(session, identifier(call.registry or runtime.settings.city, call.number), caller)
            await open_or_join(session, opening_of(row), caller.subject)
        return await _shown(session, await _found(session, identifier(call.registry or runtime.settings.city, call.number), caller))

    return await once(work, status=201)


@router.post("/calls/{call_id}/responses", summary="Report a unit's times", responses={200: {"model": CallOut}}, response_class=Response)
async def report_unit(
    call_id: str,
    report: UnitReport,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    correct: Annotated[bool, Query(description="Put other times in the place of recorded ones")] = False,
) -> Response:
    """Record what is known of a unit's response so far. Later reports add what was unknown; another time for a known moment is a conflict."""

    async def work() -> CallOut:
        call = await _found(session, call_id, caller, lock=True)
        for name in ("dispatched_at", *_MOMENTS):
            at = getattr(report, name)
            if at and (fault := misdated(at, now)):
                raise InvalidBody(fault, pointer=f"/{name}")
        known = (await session.execute(select(responses).where(responses.c.id == f"{call_id}:{report.unit}"))).mappings().one_or_none()
        moments = {"dispatched_at": report.dispatched_at} | {name: getattr(report, name) or (known and known[name]) for name in _MOMENTS}
        if known and not correct:
            _refuse_changes(known, {**moments, "unit_kind": report.unit_kind})
        row = response_values(call_id, report.unit, report.unit_kind, call["received_at"], moments)
        await merge(session, responses, {0: row}, key=("id",), recorded_by=caller.subject, correct=True)
        await sum_up(session, [call_id], caller.subject)
        return await _shown(session, await _found(session, call_id, caller))

    return await once(work)


@router.get("/calls/{call_id}", summary="A call with the units that responded")
async def show_call(call_id: str, reader: Reader, caller: Annotated[Caller, may("fire:read")]) -> CallOut:
    """A call, what its responses add up to, and each of them. The id is `<registry>:<number>`."""
    return await _shown(reader, await _found(reader, call_id, caller))


@router.get("/response-times", summary="How responses kept to the standards")
async def response_times(
    session: Session,
    caller: Annotated[Caller, may("fire:read")],
    since: Annotated[OffsetTime, Query(alias="from", description="Calls received from then on, with offset")],
    until: Annotated[OffsetTime, Query(description="Calls received before then, with offset")],
    area: Annotated[AreaCode | None, Query(description="Only calls in this area; the whole city if not given")] = None,
    station: Annotated[Reference | None, Query(description="Only calls to which units of this station responded")] = None,
) -> list[Performance]:
    """For each standard: how many responses count for it, and how many kept its limit, among the calls that the caller may see."""
    if until <= since:
        raise InvalidRequest("`until` must come after `from`.", pointer="/until")
    rows = [covers(caller, calls.c.area)]
    rows += [func.left(calls.c.area, len(area)) == area] if area else []
    rows += [of_station(station)] if station else []
    return await performance(session, and_(*rows), since, until)


def _refuse_changes(known: RowMapping, stated: dict[str, Any]) -> None:
    for name, value in stated.items():
        if known[name] is not None and known[name] != value:
            raise Conflict(f"{name} is recorded as {known[name]}. Send it with correct=true if that was wrong.", pointer=f"/{name}")


async def _found(connection: AsyncSession | AsyncConnection, call_id: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    query = select(calls).where(calls.c.id == call_id, covers(caller, calls.c.area))
    found = (await connection.execute(query.with_for_update(key_share=True) if lock else query)).mappings().one_or_none()
    if found is None:
        raise NotFound(f"There is no call {call_id[:100]!r}.")
    return found


async def _shown(connection: AsyncSession | AsyncConnection, call: RowMapping) -> CallOut:
    units = await connection.execute(select(responses).where(responses.c.call == call["id"]).order_by(responses.c.dispatched_at, responses.c.unit))
    return CallOut.model_validate({**call, "responses": [dict(unit) for unit in units.mappings()]})
