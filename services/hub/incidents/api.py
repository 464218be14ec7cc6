"""Incidents over HTTP: opened, graded, answered for, closed; their timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.events.models import EventRow
from services.hub.incidents import schemas
from services.hub.incidents.actions import REASONS, change, found, join, note, open_incident, regrade, to_change
from services.hub.incidents.domain import Figures, grade_by_rule, unfinished
from services.hub.incidents.models import incident_events, tasks
from services.hub.incidents.reading import place_of, shown, timeline
from services.hub.incidents.schemas import IncidentOut, Timeline, TimelineItem
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, InvalidBody, InvalidRequest, NotFound
from shared.events.hub import IncidentClosed, IncidentReopened, ResponseSet
from shared.idempotency import Repeatable
from shared.outbox.record import record
from shared.paging import paging_key, seal, unseal
from shared.places import covers, place_rows
from shared.row_models import Checked, OffsetTime, misdated
from shared.service import Now, Runtime
from shared.vocabulary import IncidentGrade, ResponseLevel

router = APIRouter(tags=["incidents"])
Officer = Annotated[Caller, may("hub:command")]
Looker = Annotated[Caller, may("hub:query", "hub:events", "hub:command")]
Which = Annotated[str, Path(max_length=60)]
_SHOWN: dict[int | str, dict[str, Any]] = {200: {"model": IncidentOut}, 201: {"model": IncidentOut}, 409: {"description": "Changed or closed meanwhile"}}


@router.post("/incidents", status_code=201, summary="Open an incident", responses=_SHOWN, response_class=Response)
async def open_by_hand(incident: schemas.IncidentIn, request: Request, session: Session, once: Repeatable, officer: Officer, now: Now) -> Response:
    """Opened by an officer, with the tasks of the plan for its kind. What a release is about (`about`) can be the subject of one incident only."""

    async def work() -> IncidentOut:
        runtime: Runtime = request.app.state.runtime
        if incident.opened_at and (fault := misdated(incident.opened_at, now)):
            raise InvalidBody(fault, pointer="/opened_at")
        batch = Checked({0: incident})
        places = await place_rows(batch, runtime.areas, officer, runtime.settings.areas)
        if batch.errors:
            raise InvalidBody(batch.errors[0].detail, pointer=batch.errors[0].pointer.removeprefix("/0") or None)
        stated = incident.model_dump(include={"kind", "title_zh", "title_en", "place", "exercise", "commander"})
        stated |= {"area": places[0].area, "lon": places[0].lon, "lat": places[0].lat, "opened_at": incident.opened_at or now}
        if incident.grade is not None:
            stated |= {"grade": incident.grade, "grade_basis": "officer", "grade_reason": incident.grade_reason}
        made = await open_incident(session, stated, incident.about, officer.subject, now)
        return await shown(session, await found(session, made, officer), now)

    return await once(work, status=201)


@router.get("/incidents/{incident}", summary="An incident with its tasks", responses=_SHOWN)
async def show_incident(incident: Which, session: Session, caller: Looker, now: Now, response: Response) -> IncidentOut:
    row = await found(session, incident, caller)
    response.headers["ETag"] = f'"{row["revision"]}"'
    return await shown(session, row, now)


@router.patch("/incidents/{incident}", summary="Say what has become known", responses=_SHOWN)
async def update_incident(incident: Which, figures: schemas.FiguresIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    """Titles, place, commander, and figures, by which the grade follows: provisionally by people, by Decree 493 once consequences are known."""
    row = await to_change(session, incident, officer, figures.revision)
    await regrade(session, row, figures.model_dump(exclude={"revision"}, exclude_none=True), officer.subject)
    return await _now(session, incident, officer, now)


@router.post("/incidents/{incident}/grade", summary="Set the grade, with a reason", responses=_SHOWN)
async def set_grade(incident: Which, given: schemas.GradeIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    """An officer's grade stands whatever figures come, until `grade` null gives it back to the rules. The grades before are kept."""
    row = await to_change(session, incident, officer, given.revision)
    if given.grade is not None:
        values: dict[str, Any] = {"grade": given.grade, "grade_basis": "officer", "grade_reason": given.reason}
    else:
        grade, basis = grade_by_rule(Figures(row["deaths"], row["serious_injuries"], row["loss_cny"], row["people_threatened"]), row["un"])
        values = {"grade": int(grade), "grade_basis": basis, "grade_reason": REASONS[basis]}
    await regrade(session, row, values, officer.subject)
    await note(session, incident, "graded", f"{IncidentGrade(values['grade']).name}: {given.reason}", officer.subject, now)
    return await _now(session, incident, officer, now)


@router.post("/incidents/{incident}/response", summary="Set the response level, as an authority decided", responses=_SHOWN)
async def set_response(incident: Which, given: schemas.ResponseIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    """A scale of its own: the authority decides, no grade implies it."""
    row = await to_change(session, incident, officer, given.revision)
    await change(session, row, {"response_level": given.level, "response_authority": given.authority if given.level else None}, officer.subject)
    level = ResponseLevel(given.level) if given.level else None
    await note(session, incident, "response", f"{level.name if level else '—'}, {given.authority}: {given.reason}", officer.subject, now)
    told = {"incident": incident, "authority": given.authority, "reason": given.reason}
    record(session, ResponseSet(**told, area=row["area"], responselevel=level, regarding=f"incidents/{incident}"))
    return await _now(session, incident, officer, now)


@router.post(
    "/incidents/{incident}/entries", status_code=201, summary="Write into the timeline", responses={201: {"model": TimelineItem}}, response_class=Response
)
async def add_entry(incident: Which, entry: schemas.EntryIn, session: Session, once: Repeatable, officer: Officer, now: Now) -> Response:
    """A decision keeps the `coverage` of the answer it rests on. Entries are never changed."""

    async def work() -> TimelineItem:
        await to_change(session, incident, officer)
        at = entry.at or now
        if fault := misdated(at, now):
            raise InvalidBody(fault, pointer="/at")
        made = await note(session, incident, entry.kind, entry.text, officer.subject, at, entry.coverage)
        return TimelineItem(recorded_at=now, at=at, kind=entry.kind, id=made, text=entry.text, by=officer.subject, coverage=entry.coverage)

    return await once(work, status=201)


@router.put("/incidents/{incident}/events", status_code=204, summary="Attach an event of the log by hand")
async def attach_event(incident: Which, given: schemas.AttachedIn, session: Session, officer: Officer) -> Response:
    await to_change(session, incident, officer)
    seen = select(EventRow.position).where(EventRow.position == given.position, covers(officer, EventRow.__table__.c.area))
    if await session.scalar(seen) is None:
        raise NotFound(f"The log has no event at position {given.position}.", pointer="/position")
    row = {"incident": incident, "position": given.position, "attached_by": officer.subject}
    await session.execute(insert(incident_events).values(row).on_conflict_do_nothing())
    return Response(status_code=204)


@router.put("/incidents/{incident}/subjects", summary="Let the events of a release belong to the incident", responses=_SHOWN)
async def join_subject(incident: Which, given: schemas.JoinedIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    row = await to_change(session, incident, officer)
    if not await join(session, incident, given.regarding, officer.subject):
        present = await shown(session, row, now)
        if given.regarding not in present.regarding:
            raise Conflict(f"{given.regarding} belongs to another incident.", pointer="/regarding")
    return await _now(session, incident, officer, now)


@router.post("/incidents/{incident}/close", summary="Close it, with a summary", responses=_SHOWN)
async def close(incident: Which, closing: schemas.ClosingIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    """Every task must be done or waived first."""
    row = await to_change(session, incident, officer, closing.revision)
    left = unfinished((await session.scalars(select(tasks.c.state).where(tasks.c.incident == incident))).all())
    if left:
        raise Conflict(f"{left} tasks are neither done nor waived.", pointer="/incident")
    await change(session, row, {"state": "closed", "closed_at": now, "summary": closing.summary}, officer.subject)
    await note(session, incident, "closed", closing.summary, officer.subject, now)
    scale = IncidentGrade(row["grade"])
    record(session, IncidentClosed(incident=incident, closed_at=now, area=row["area"], incidentgrade=scale, regarding=f"incidents/{incident}"))
    return await _now(session, incident, officer, now)


@router.post("/incidents/{incident}/reopen", summary="Open it again, with a reason", responses=_SHOWN)
async def reopen(incident: Which, given: schemas.ReopeningIn, session: Session, officer: Officer, now: Now) -> IncidentOut:
    row = await to_change(session, incident, officer, given.revision, closed=True)
    await change(session, row, {"state": "open", "closed_at": None, "closing_proposed_at": None}, officer.subject)
    await note(session, incident, "reopened", given.reason, officer.subject, now)
    scale = IncidentGrade(row["grade"])
    record(session, IncidentReopened(incident=incident, reason=given.reason, area=row["area"], incidentgrade=scale, regarding=f"incidents/{incident}"))
    return await _now(session, incident, officer, now)


@router.get("/incidents/{incident}/timeline", summary="What happened, in the order in which the hub learned of it")
async def show_timeline(
    incident: Which,
    request: Request,
    session: Session,
    caller: Looker,
    after: Annotated[str | None, Query(max_length=2000, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    known_at: Annotated[OffsetTime | None, Query(description="Only what the hub had recorded by then")] = None,
) -> Timeline:
    """Events of all sectors that regard the incident or a subject of it, events attached by hand, officers' entries.

    An event outside the areas of the token is not shown, as in the city's log.
    """
    await found(session, incident, caller)
    key = paging_key(request.app.state.runtime.settings.reader_url.get_secret_value())
    bound = {"timeline": incident, "known_at": known_at.isoformat() if known_at else None}
    held = unseal(key, after, query=bound, caller=caller, pointer="/after") if after else None
    place = (datetime.fromisoformat(held["at"]), str(held["last"])) if held else None
    if known_at is not None and not 1900 < known_at.year < 9000:
        raise InvalidRequest("known_at lies outside the calendar.", pointer="/known_at")
    items = await timeline(session, incident, caller, place, limit + 1, known_at)
    following = None
    if len(items) > limit:
        at, last = place_of(items[limit - 1])
        following = seal(key, {"at": at.isoformat(), "last": last}, query=bound, caller=caller)
    return Timeline(items=items[:limit], next=following, known_at=known_at)


async def _now(session: AsyncSession, incident: str, caller: Caller, now: datetime) -> IncidentOut:
    return await shown(session, await found(session, incident, caller), now)
