"""What is done to incidents and tasks, by officers and by events alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, select, update
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
_FIGURES = ("deaths", "serious_injuries", "loss_cny", "people_threatened")
REASONS = {
    "provisional": "Provisional, by the people to be moved (national emergency plan for environmental incidents) or the toxicity of what escapes",
    "decree-493": "State Council Decree 493, article 3",
}


async def open_incident(session: AsyncSession, stated: Mapping[str, Any], about: str | None, by: str, now: datetime) -> str:
    """Open an incident with the tasks of its plan; its id. `Conflict` if what it is about belongs to another incident already: then undo all."""
    incident = str(ULID())
    grade, basis = grade_by_rule(Figures(), stated.get("un"))
    graded = {"grade": int(grade), "grade_basis": basis, "grade_reason": REASONS[basis]} | {name: value for name, value in stated.items() if value is not None}
    await session.execute(insert(incidents).values(id=incident, recorded_by=by, **graded))
    if about is not None and not await join(session, incident, about, by):
        raise Conflict(f"{about} belongs to an incident already.", pointer="/about")
    scale, regarding = IncidentGrade(graded["grade"]), f"incidents/{incident}"
    facts = {name: graded.get(name) for name in ("area", "kind", "lon", "lat", "opened_at")}
    record(session, IncidentOpened(**facts, incident=incident, exercise=bool(graded.get("exercise")), about=about, incidentgrade=scale, regarding=regarding))
    planned = [
        {"sector": task.sector, "what_zh": task.what.zh, "what_en": task.what.en, "due_at": graded["opened_at"] + task.within}
        for task in PLANS.get(graded["kind"], ())
    ]
    await assign(session, incident, graded["area"], planned, by, now)
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
        told = [(row["id"], row["sector"], f"{row['what_zh']} / {row['what_en']}", row["due_at"]) for row in rows]
        record_all(
            session,
            [
                TaskAssigned(incident=incident, task=task, sector=sector, what=what, due_at=due_at, area=area, regarding=f"incidents/{incident}")
                for task, sector, what, due_at in told
            ],
        )
    return [row["id"] for row in rows]


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
