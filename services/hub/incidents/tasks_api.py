"""Tasks over HTTP: assigned by officers, answered by the sectors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.incidents.actions import answer_task, assign, to_change
from services.hub.incidents.domain import TaskState
from services.hub.incidents.models import tasks
from services.hub.incidents.reading import task_out
from services.hub.incidents.schemas import AnswerIn, TaskIn, TaskOut, WaivingIn
from shared.auth import AnyCaller, Caller, may
from shared.database import Session
from shared.errors import Forbidden, InvalidBody, NotFound
from shared.idempotency import Repeatable
from shared.places import covers
from shared.service import Now, Runtime

router = APIRouter(tags=["incidents"])
Officer = Annotated[Caller, may("hub:command")]
Which = Annotated[str, Path(max_length=60)]
EVERYBODYS = ("hub:query", "hub:command", "hub:events")


@router.post(
    "/incidents/{incident}/tasks", status_code=201, summary="Ask a sector to do something", responses={201: {"model": TaskOut}}, response_class=Response
)
async def assign_task(incident: Which, task: TaskIn, request: Request, session: Session, once: Repeatable, officer: Officer, now: Now) -> Response:
    async def work() -> TaskOut:
        runtime: Runtime = request.app.state.runtime
        if task.sector not in runtime.settings.services or task.sector == "hub":
            raise InvalidBody(f"{task.sector} is no sector of this city.", pointer="/sector")
        if task.due_at is not None and not 1900 < task.due_at.year < 9000:
            raise InvalidBody("due_at lies outside the calendar.", pointer="/due_at")
        row = await to_change(session, incident, officer)
        (made,) = await assign(session, incident, row["area"], [task.model_dump()], officer.subject, now)
        return task_out(await _found(session, made, officer), now)

    return await once(work, status=201)


@router.get("/tasks", summary="What a sector is asked to do")
async def list_tasks(
    session: Session,
    caller: AnyCaller,
    now: Now,
    sector: Annotated[str, Query(pattern=r"^[a-z][a-z0-9]{0,31}$")],
    state: Annotated[list[TaskState] | None, Query(max_length=5, description="Those that wait if not given")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[TaskOut]:
    """The oldest first; for the sector's own clients (`<sector>:read`, `<sector>:write`) and those who see all."""
    if not caller.has(f"{sector}:read", f"{sector}:write", *EVERYBODYS):
        raise Forbidden(f"This needs the scope {sector}:read.")
    wanted = (tasks.c.sector == sector, tasks.c.state.in_(state or ("assigned", "acknowledged")), covers(caller, tasks.c.area))
    rows = await session.execute(select(tasks).where(*wanted).order_by(tasks.c.id).limit(limit))
    return [task_out(row, now) for row in rows.mappings()]


@router.post("/tasks/{task}/answer", summary="Acknowledge, decline or finish a task")
async def answer(task: Which, given: AnswerIn, session: Session, caller: AnyCaller, now: Now) -> TaskOut:
    """By a client of the sector (`<sector>:write`). The same answer again changes nothing."""
    row = await _found(session, task, caller, lock=True)
    if not caller.has(f"{row['sector']}:write"):
        raise Forbidden(f"Only {row['sector']} answers for its tasks: this needs the scope {row['sector']}:write.")
    await answer_task(session, row, given.state, given.note, caller.subject, now)
    return task_out(await _found(session, task, caller), now)


@router.post("/tasks/{task}/waive", summary="Say that a task need not be done")
async def waive(task: Which, given: WaivingIn, session: Session, officer: Officer, now: Now) -> TaskOut:
    row = await _found(session, task, officer, lock=True)
    await answer_task(session, row, "waived", given.reason, officer.subject, now)
    return task_out(await _found(session, task, officer), now)


async def _found(session: AsyncSession, task: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """The task, if it exists for the caller: in their areas, and theirs to see."""
    query = select(tasks).where(tasks.c.id == task, covers(caller, tasks.c.area))
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    if row is None or not caller.has(f"{row['sector']}:read", f"{row['sector']}:write", *EVERYBODYS):
        raise NotFound(f"There is no task {task[:60]!r}.", pointer="/task")
    return row
