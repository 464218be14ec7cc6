"""Incidents as they are shown: with their tasks, and their timelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, RowMapping, Text, and_, any_, cast, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.events.models import EventRow
from services.hub.incidents.domain import is_overdue
from services.hub.incidents.models import incident_entries, incident_events, incident_subjects, tasks
from services.hub.incidents.schemas import IncidentOut, TaskOut, TimelineItem
from shared.caller import Caller
from shared.places import covers

Place = tuple[datetime, str]
"""Where a page begins: recorded when, and which among those of one moment (events by position, entries by id)."""


def task_out(row: RowMapping, now: datetime) -> TaskOut:
    return TaskOut.model_validate({**row, "overdue": is_overdue(row["state"], row["due_at"], now)})


async def shown(session: AsyncSession, row: RowMapping, now: datetime) -> IncidentOut:
    """The incident with what belongs to it."""
    query = select(tasks).where(tasks.c.incident == row["id"]).order_by(tasks.c.id)
    asked = [task_out(task, now) for task in (await session.execute(query)).mappings()]
    joined = await session.scalars(
        select(incident_subjects.c.regarding).where(incident_subjects.c.incident == row["id"]).order_by(incident_subjects.c.regarding)
    )
    return IncidentOut.model_validate({**row, "regarding": list(joined), "tasks": asked})


async def timeline(session: AsyncSession, incident: str, caller: Caller, after: Place | None, limit: int, known_at: datetime | None) -> list[TimelineItem]:
    """What was recorded after a place, in order: events that may be seen and officers' entries, up to `limit` of each kind merged and cut."""
    found = [*await _events(session, incident, caller, after, limit, known_at), *await _entries(session, incident, after, limit, known_at)]
    return sorted(found, key=place_of)[:limit]


def place_of(item: TimelineItem) -> Place:
    return item.recorded_at, f"e{item.position:019d}" if item.position is not None else f"t{item.id}"


async def _events(session: AsyncSession, incident: str, caller: Caller, after: Place | None, limit: int, known_at: datetime | None) -> list[TimelineItem]:
    subjects, by_hand = await _belongings(session, incident, known_at)
    belongs = or_(EventRow.regarding == any_(literal(subjects, ARRAY(Text))), EventRow.position == any_(literal(by_hand, ARRAY(BigInteger))))
    conditions: list[ColumnElement[bool]] = [belongs, covers(caller, EventRow.__table__.c.area)]
    if known_at is not None:
        conditions.append(EventRow.recorded_at <= known_at)
    if after is not None:
        conditions.append(_beyond_event(after))
    columns = (EventRow.position, EventRow.recorded_at, EventRow.time, cast(EventRow.envelope, Text).label("content"))
    rows = await session.execute(select(*columns).where(*conditions).order_by(EventRow.recorded_at, EventRow.position).limit(limit))
    return [TimelineItem(recorded_at=row.recorded_at, at=row.time, kind="event", position=row.position, event=orjson.loads(row.content)) for row in rows]


async def _belongings(session: AsyncSession, incident: str, known_at: datetime | None) -> tuple[list[str], list[int]]:
    """Subjects and positions of the incident, read first: with them as values the log is read by its indexes, not as a whole."""
    subjects = select(incident_subjects.c.regarding).where(incident_subjects.c.incident == incident)
    by_hand = select(incident_events.c.position).where(incident_events.c.incident == incident)
    if known_at is not None:
        subjects, by_hand = subjects.where(incident_subjects.c.joined_at <= known_at), by_hand.where(incident_events.c.attached_at <= known_at)
    return [f"incidents/{incident}", *await session.scalars(subjects)], list(await session.scalars(by_hand))


def _beyond_event(after: Place) -> ColumnElement[bool]:
    moment, last = after
    if last.startswith("e"):
        return tuple_(EventRow.recorded_at, EventRow.position) > tuple_(literal(moment), literal(int(last[1:])))
    return EventRow.recorded_at > moment


async def _entries(session: AsyncSession, incident: str, after: Place | None, limit: int, known_at: datetime | None) -> list[TimelineItem]:
    table = incident_entries.c
    conditions: list[ColumnElement[bool]] = [table.incident == incident]
    if known_at is not None:
        conditions.append(table.recorded_at <= known_at)
    if after is not None:
        moment, last = after
        same = table.id > last[1:] if last.startswith("t") else literal(True)
        conditions.append(or_(table.recorded_at > moment, and_(table.recorded_at == moment, same)))
    rows = await session.execute(select(incident_entries).where(*conditions).order_by(table.recorded_at, table.id).limit(limit))
    return [TimelineItem.model_validate(_entry(row)) for row in rows.mappings()]


def _entry(row: RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in ("recorded_at", "at", "kind", "id", "text", "by", "coverage")}
