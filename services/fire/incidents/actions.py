"""Opens incidents, lets calls join them, and follows them by what their units report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from ulid import ULID

from services.fire.calls.actions import response_values, sum_up
from services.fire.incidents.domain import JOIN_WITHIN, Assigned, Held, Reported, held_at, nearest, progress
from services.fire.models import assignments, calls, incident_calls, incidents, releases, responses, unit_reports, unit_status, units
from services.fire.stations.domain import FREE, Report, later, moments
from shared.caller import Caller
from shared.events.fire import IncidentClosed, IncidentOpened
from shared.outbox.record import record, when_committed
from shared.places import covers
from shared.runtime import Runtime

_MOMENTS = ("en_route_at", "on_scene_at", "transport_at", "hospital_at", "available_at")
OPENING = func.pg_advisory_xact_lock(17993, 1)
"""One after another: two calls about one event must find each other's incident."""
_OPENING = select(OPENING)
_OPEN = insert(incidents).returning(incidents)
_LONGEST = timedelta(days=7)
"""A report belongs to no assignment that began longer ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What makes an incident: a call, or a release that another sector reported."""

    kind: str
    priority: str
    at: datetime
    area: str
    lon: float | None
    lat: float | None
    call: str | None = None
    reference: tuple[str, str] | None = None
    release: str | None = None
    regarding: str | None = None


def opening_of(call: RowMapping) -> Opening:
    """What a row of the table of calls says."""
    place = {name: call[name] for name in ("kind", "priority", "area", "lon", "lat")}
    return Opening(**place, at=call["received_at"], call=call["id"], reference=_reference(call["registry"], call["incident"]))


async def open_or_join(session: AsyncSession, opening: Opening, recorded_by: str, *, locked: bool = False) -> tuple[str, Mapping[str, Any] | None]:
    """The incident of a call or release that has just been recorded: one that it joins by the rule of `domain.py`, or a new one, with its row.

    An incident is about one release at most. `locked`: an earlier statement of the transaction has called `OPENING`.
    """
    if not locked:
        await session.execute(_OPENING)
    said = Reported(opening.kind, opening.at, opening.lon, opening.lat, opening.reference)
    incident, made = nearest(said, await _open_near(session, opening)) or "", None
    if incident:
        told: dict[str, Any] = {"release": opening.release, "regarding": opening.regarding} if opening.release else {}
        told |= {"calls": incidents.c.calls + 1, "call": func.coalesce(incidents.c.call, opening.call)} if opening.call else {}
        await session.execute(update(incidents).where(incidents.c.id == incident).values(**told, recorded_by=recorded_by))
    else:
        made = await _open(session, opening, recorded_by)
        incident = made["id"]
    if opening.call:
        await session.execute(insert(incident_calls).values(call=opening.call, incident=incident))
    return incident, made


async def _open(session: AsyncSession, opening: Opening, recorded_by: str) -> dict[str, Any]:
    row = {name: getattr(opening, name) for name in ("kind", "priority", "area", "lon", "lat", "call", "release", "regarding")}
    values = {**row, "id": str(ULID()), "opened_at": opening.at, "calls": int(opening.call is not None), "state": "open", "recorded_by": recorded_by}
    made: dict[str, Any] = dict((await session.execute(_OPEN, values)).mappings().one())
    told = {name: row[name] for name in ("kind", "area", "lon", "lat", "regarding")}
    record(session, IncidentOpened(incident=made["id"], opened_at=opening.at, **told))
    return made


async def _open_near(session: AsyncSession, opening: Opening) -> list[tuple[str, Reported]]:
    """Incidents that are open and may be meant: those of these minutes, and those of the registry's number."""
    registry, number = opening.reference or (None, None)
    asked = {"from": opening.at - JOIN_WITHIN, "until": opening.at + JOIN_WITHIN, "registry": registry, "number": number}
    found = await session.execute(_NEAR_RELEASE if opening.release is not None else _NEAR, asked)
    return [(row.id, Reported(row.kind, row.opened_at, row.lon, row.lat, _reference(row.registry, row.incident))) for row in found]


_NEAR = (
    select(incidents.c.id, incidents.c.kind, incidents.c.opened_at, incidents.c.lon, incidents.c.lat, calls.c.registry, calls.c.incident)
    .outerjoin(calls, calls.c.id == incidents.c.call)
    .where(
        incidents.c.closed_at.is_(None),
        or_(
            incidents.c.opened_at.between(bindparam("from"), bindparam("until")),
            and_(calls.c.registry == bindparam("registry"), calls.c.incident == bindparam("number")),
        ),
    )
)
_NEAR_RELEASE = _NEAR.where(incidents.c.release.is_(None))


def _reference(registry: str | None, number: str | None) -> tuple[str, str] | None:
    return (registry, number) if registry and number else None


async def follow_unit(session: AsyncSession, runtime: Runtime, unit: str, state: str, at: datetime, caller: Caller) -> bool:
    """Take the report of a unit's state; False if the caller sees no such unit."""
    known = select(unit_status.c.state, unit_status.c.state_at, units.c.kind).join(units, units.c.code == unit_status.c.unit)
    found = (await session.execute(known.where(units.c.code == unit, covers(caller, units.c.area)).with_for_update(of=unit_status))).one_or_none()
    if found is None:
        return False
    held = select(assignments.c.incident, assignments.c.assigned_at).where(assignments.c.unit == unit, assignments.c.assigned_at > at - _LONGEST)
    assignment, until = held_at([Held(*row) for row in await session.execute(held)], at)
    report = insert(unit_reports).values(unit=unit, at=at, state=state, incident=assignment.incident if assignment else None, recorded_by=caller.subject)
    if (await session.execute(report.on_conflict_do_nothing().returning(unit_reports.c.unit))).one_or_none() is None:
        return True
    newest = later(Report(at, state), Report(found.state_at, found.state))
    if newest.at == at and newest.state == state:
        await session.execute(update(unit_status).where(unit_status.c.unit == unit).values(state=state, state_at=at, recorded_by=caller.subject))
    if assignment is not None:
        await _follow_assignment(session, unit, found.kind, assignment, until, caller.subject)
    if state in FREE and runtime.own is not None:
        when_committed(session, runtime.own.dispatcher.unit_freed)
    return True


async def _follow_assignment(session: AsyncSession, unit: str, kind: str, assignment: Held, until: datetime | None, recorded_by: str) -> None:
    """Write the times of the unit's response, the end of its assignment, and what follows for the incident."""
    window = [unit_reports.c.unit == unit, unit_reports.c.at >= assignment.assigned_at]
    window += [unit_reports.c.at < until] if until is not None else []
    reports = [Report(*row) for row in await session.execute(select(unit_reports.c.at, unit_reports.c.state).where(*window))]
    told = moments(reports)
    mine = (assignments.c.incident == assignment.incident, assignments.c.unit == unit, assignments.c.assigned_at == assignment.assigned_at)
    times = {"on_scene_at": told.get("on_scene_at"), "released_at": told.get("available_at")}
    await session.execute(update(assignments).where(*mine).values(**times))
    if times["released_at"] is not None and until is None:
        free = update(unit_status).where(unit_status.c.unit == unit, unit_status.c.incident == assignment.incident)
        await session.execute(free.values(incident=None, recorded_by=recorded_by))
    incident = (await session.execute(select(incidents).where(incidents.c.id == assignment.incident).with_for_update(key_share=True))).mappings().one()
    await _write_response(session, incident["call"], unit, kind, told, recorded_by)
    await follow_incident(session, incident, recorded_by)


async def _write_response(session: AsyncSession, call: str, unit: str, kind: str, told: Mapping[str, datetime], recorded_by: str) -> None:
    """Add what was reported to the unit's response; of two moments the earlier stays, but for the end."""
    found = select(responses, calls.c.received_at).join(calls, calls.c.id == responses.c.call).where(responses.c.id == f"{call}:{unit}")
    row = (await session.execute(found)).mappings().one()
    known = {name: _earlier(row[name], told.get(name)) for name in _MOMENTS} | {"available_at": told.get("available_at") or row["available_at"]}
    values = response_values(call, unit, kind, row["received_at"], {"dispatched_at": row["dispatched_at"], **known})
    changed = {name: value for name, value in values.items() if row[name] != value}
    if changed:
        await session.execute(update(responses).where(responses.c.id == values["id"]).values(**changed, recorded_by=recorded_by))
        await sum_up(session, [call], recorded_by)


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min(first, second) if first and second else first or second


async def follow_incident(session: AsyncSession, incident: RowMapping, recorded_by: str) -> None:
    """Bring an incident, whose row is locked, up to date with its assignments; tell when it closes."""
    columns = (assignments.c.assigned_at, assignments.c.on_scene_at, assignments.c.released_at, assignments.c.first)
    every = [Assigned(*row) for row in await session.execute(select(*columns).where(assignments.c.incident == incident["id"]))]
    goes_on = incident["release"] is not None and bool(
        await session.scalar(select(releases.c.id).where(releases.c.id == incident["release"], releases.c.concluded_at.is_(None)))
    )
    values = asdict(progress(incident["opened_at"], every, held_open=goes_on))
    if incident["closed_at"] is not None:
        del values["state"], values["closed_at"]
    changed = {name: value for name, value in values.items() if incident[name] != value}
    if not changed:
        return
    await session.execute(update(incidents).where(incidents.c.id == incident["id"]).values(**changed, recorded_by=recorded_by))
    if changed.get("closed_at"):
        told = {"area": incident["area"], "regarding": incident["regarding"]}
        record(session, IncidentClosed(incident=incident["id"], closed_at=changed["closed_at"], **told))


async def close(session: AsyncSession, name: str, now: datetime, recorded_by: str) -> None:
    """Close an incident by an officer's word: whatever is still assigned is free. Units are locked before their incident, as everywhere."""
    held = select(unit_status.c.unit).where(unit_status.c.incident == name).order_by(unit_status.c.unit).with_for_update()
    freed = list(await session.scalars(held))
    incident = (await session.execute(select(incidents).where(incidents.c.id == name).with_for_update(key_share=True))).mappings().one()
    if incident["closed_at"] is not None:
        return
    open_ones = (assignments.c.incident == name, assignments.c.released_at.is_(None))
    await session.execute(update(assignments).where(*open_ones).values(released_at=func.greatest(assignments.c.assigned_at, now)))
    if freed:
        await session.execute(update(unit_status).where(unit_status.c.unit == func.any(freed)).values(incident=None, recorded_by=recorded_by))
    await session.execute(update(incidents).where(incidents.c.id == name).values(state="closed", closed_at=now, recorded_by=recorded_by))
    record(session, IncidentClosed(incident=name, closed_at=now, area=incident["area"], regarding=incident["regarding"]))


async def conclude(session: AsyncSession, name: str, at: datetime, recorded_by: str) -> None:
    """The release that an incident is about is over: it closes if nobody is with it; else with the last unit."""
    incident = (await session.execute(select(incidents).where(incidents.c.id == name).with_for_update(key_share=True))).mappings().one()
    if incident["units"]:
        await follow_incident(session, incident, recorded_by)
    elif incident["closed_at"] is None:
        closed_at = max(at, incident["opened_at"])
        await session.execute(update(incidents).where(incidents.c.id == name).values(state="closed", closed_at=closed_at, recorded_by=recorded_by))
        record(session, IncidentClosed(incident=name, closed_at=closed_at, area=incident["area"], regarding=incident["regarding"]))
