"""What is done to incidents and tasks, by officers and by events alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, Double, RowMapping, SmallInteger, Text, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.hub.incidents.domain import Figures, grade_by_rule, may_become
from services.hub.incidents.models import incident_entries, incident_subjects, incidents, tasks
from services.hub.incidents.plans import PLANS
from shared.caller import Caller
from shared.errors import Conflict, NotFound
from shared.events.hub import IncidentGraded, IncidentOpened, TaskAnswered, TaskAssigned
from shared.outbox.record import record, record_all
from shared.places import covers
from shared.vocabulary import IncidentGrade

ITSELF = "hub"
"""Who did what no person did."""
_STATED = ("kind", "title_zh", "title_en", "area", "place", "commander", "un", "lon", "lat", "exercise", "grade", "grade_basis", "grade_reason", "opened_at")
_OPEN = text(f"""
    WITH joined AS (
        INSERT INTO incident_subjects (regarding, incident, joined_by) SELECT :about, :id, :by WHERE :about IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING regarding
    ), opened AS (
        INSERT INTO incidents (id, {", ".join(_STATED)}, recorded_by) SELECT :id, {", ".join(f":{name}" for name in _STATED)}, :by
        WHERE :about IS NULL OR EXISTS (SELECT FROM joined) RETURNING id, area
    ), asked AS (
        INSERT INTO tasks (id, incident, area, sector, what_zh, what_en, due_at, assigned_at, recorded_by)
        SELECT given.id, opened.id, opened.area, given.sector, given.what_zh, given.what_en, given.due_at, :now, :by
        FROM opened, unnest(:tasks, :sectors, :what_zh, :what_en, :due_at) AS given (id, sector, what_zh, what_en, due_at)
    )
    SELECT id FROM opened
""").bindparams(
    *(bindparam(name, type_=Text) for name in ("id", "by", "about", *_STATED[:7], "grade_basis", "grade_reason")),
    *(bindparam(name, type_=ARRAY(Text)) for name in ("tasks", "sectors", "what_zh", "what_en")),
    *(bindparam(name, type_=DateTime(timezone=True)) for name in ("now", "opened_at")),
    bindparam("due_at", type_=ARRAY(DateTime(timezone=True))),
    bindparam("lon", type_=Double),
    bindparam("lat", type_=Double),
    bindparam("exercise", type_=Boolean),
    bindparam("grade", type_=SmallInteger),
)
"""All of it or, if the subject belongs to another incident, nothing: in one round trip, because a release is opened while its crews are sent."""
_FIGURES = ("deaths", "serious_injuries", "loss_cny", "people_threatened")
REASONS = {
    "provisional": "Provisional, by the people to be moved (national emergency plan for environmental incidents) or the toxicity of what escapes",
    "decree-493": "State Council Decree 493, article 3",
}


async def open_incident(session: AsyncSession, stated: Mapping[str, Any], about: str | None, by: str, now: datetime) -> str:
    """Open an incident with the tasks of its plan; its id. `Conflict`, with nothing done, if what it is about belongs to another incident already."""
    incident = str(ULID())
    grade, basis = grade_by_rule(Figures(), stated.get("un"))
    graded = {"grade": int(grade), "grade_basis": basis, "grade_reason": REASONS[basis]} | {name: value for name, value in stated.items() if value is not None}
    row = {**dict.fromkeys(_STATED), "exercise": False, **graded}
    planned = [
        {"id": str(ULID()), "sector": task.sector, "what_zh": task.what.zh, "what_en": task.what.en, "due_at": row["opened_at"] + task.within}
        for task in PLANS.get(row["kind"], ())
    ]
    tasks_of = {name: [task[name] for task in planned] for name in ("sector", "what_zh", "what_en", "due_at")}
    given = {**row, "id": incident, "about": about, "by": by, "now": now, "tasks": [task["id"] for task in planned], "sectors": tasks_of.pop("sector")}
    if await session.scalar(_OPEN, {**given, **tasks_of}) is None:
        raise Conflict(f"{about} belongs to an incident already.", pointer="/about")
    scale, regarding = IncidentGrade(row["grade"]), f"incidents/{incident}"
    facts = {name: row[name] for name in ("area", "kind", "lon", "lat", "opened_at", "exercise")}
    opened = IncidentOpened(**facts, incident=incident, about=about, incidentgrade=scale, regarding=regarding)
    record_all(session, [opened, *_assigned(incident, row["area"], planned)])
    return incident


async def join(session: AsyncSession, incident: str, regarding: str, by: str) -> bool:
    """Let the events of a subject belong to an incident; False if they belong to one already."""
    row = {"regarding": regarding, "incident": incident, "joined_by": by}
    made = await session.scalar(pg_insert(incident_subjects).values(row).on_conflict_do_nothing().returning(incident_subjects.c.regarding))
    return made is not None


async def incident_of(session: AsyncSession, regarding: str) -> str | None:
    """The incident to which the events of a subject belong."""
    return (await session.execute(select(incident_subjects.c.incident).where(incident_subjects.c.regarding == regarding))).scalar_one_or_none()


async def found(session: AsyncSession, incident: str, caller: Caller, *, lock: bool = False) -> RowMapping:
    """The incident, if it exists for the caller."""
    query = select(incidents).where(incidents.c.id == incident, covers(caller, incidents.c.area))
    row = (await session.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no incident {incident[:60]!r}.", pointer="/incident")
    return row


async def to_change(session: AsyncSession, incident: str, caller: Caller, revision: int | None = None, *, closed: bool = False) -> RowMapping:
    """The incident, locked, at the revision that the change starts from, and open (or `closed`)."""
    row = await found(session, incident, caller, lock=True)
    if revision is not None and row["revision"] != revision:
        raise Conflict(f"The incident is at revision {row['revision']}, not {revision}: somebody changed it. Read it again.", pointer="/revision")
    if (row["state"] == "closed") != closed:
        raise Conflict(f"The incident is {row['state']}.", pointer="/incident")
    return row


async def change(session: AsyncSession, row: RowMapping, values: Mapping[str, Any], by: str) -> None:
    """Put values in the place of recorded ones: the next revision; the one before is kept as history."""
    changed = {**values, "revision": row["revision"] + 1, "recorded_by": by}
    await session.execute(update(incidents).where(incidents.c.id == row["id"]).values(changed))


async def regrade(session: AsyncSession, row: RowMapping, values: dict[str, Any], by: str) -> None:
    """Change an incident and bring its grade in step: by rule, unless an officer set it before or does so now; tell if it changed."""
    whole = {**row, **values}
    if "grade" not in values and row["grade_basis"] != "officer":
        grade, basis = grade_by_rule(Figures(**{name: whole[name] for name in _FIGURES}), whole["un"])
        values |= {"grade": int(grade), "grade_basis": basis, "grade_reason": REASONS[basis]}
    await change(session, row, values, by)
    if values.get("grade", row["grade"]) != row["grade"]:
        reason, grade = values["grade_reason"], IncidentGrade(values["grade"])
        record(session, IncidentGraded(incident=row["id"], reason=reason, area=row["area"], incidentgrade=grade, regarding=f"incidents/{row['id']}"))


async def note(session: AsyncSession, incident: str, kind: str, text: str, by: str, at: datetime, coverage: Any = None) -> str:
    """Write into the timeline; the entry's id."""
    entry = str(ULID())
    await session.execute(insert(incident_entries).values(id=entry, incident=incident, kind=kind, text=text, by=by, at=at, coverage=coverage))
    return entry


async def assign(session: AsyncSession, incident: str, area: str, wanted: Sequence[Mapping[str, Any]], by: str, now: datetime) -> list[str]:
    """Ask sectors to do something; the tasks' ids."""
    rows = [{"id": str(ULID()), "incident": incident, "area": area, "assigned_at": now, "recorded_by": by, **task} for task in wanted]
    if rows:
        await session.execute(insert(tasks), rows)
        record_all(session, _assigned(incident, area, rows))
    return [row["id"] for row in rows]


def _assigned(incident: str, area: str, rows: Sequence[Mapping[str, Any]]) -> list[TaskAssigned]:
    """What the sectors are told of their tasks."""
    told = [(row["id"], row["sector"], f"{row['what_zh']} / {row['what_en']}", row["due_at"]) for row in rows]
    return [
        TaskAssigned(incident=incident, task=task, sector=sector, what=what, due_at=due_at, area=area, regarding=f"incidents/{incident}")
        for task, sector, what, due_at in told
    ]


async def answer_task(session: AsyncSession, row: RowMapping, state: Any, note_text: str | None, by: str, now: datetime) -> None:
    """The sector's answer to its task, or its waiving. The same answer again changes nothing; one that comes too late is a conflict."""
    if row["state"] == state:
        return
    if not may_become(row["state"], state):
        raise Conflict(f"The task is {row['state']}; it cannot become {state}.", pointer="/state")
    values = {"state": state, "note": note_text, "answered_at": now, "answered_by": by, "recorded_by": by}
    await session.execute(update(tasks).where(tasks.c.id == row["id"]).values(values))
    if state == "waived":
        await note(session, row["incident"], "waived", f"{row['what_zh']} / {row['what_en']}: {note_text}", by, now)
    else:
        told = {"incident": row["incident"], "task": row["id"], "sector": row["sector"], "state": state}
        record(session, TaskAnswered(**told, area=row["area"], regarding=f"incidents/{row['incident']}"))
