"""All that is known of an incident when somebody looks at it: facts, release, outline, units, what was said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.dispatch.domain import ONE_ENGINE, PLAN, Candidate, Need
from services.fire.models import (
    assignments,
    closures,
    crew_messages,
    incident_work,
    incidents,
    releases,
    response_plan,
    stations,
    unit_positions,
    unit_status,
    units,
)
from services.fire.stations.domain import AVAILABLE

FRESH_S = 600
"""A unit that drives is where it last said it was, if that is no longer ago; else it is taken to be at its station. Our own."""
MOST_UNITS = 5_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A unit that is with the incident now."""

    unit: Candidate
    arrived: bool
    travel_s: float | None
    travel_times: str


@dataclass(frozen=True, slots=True)
class Case:
    """An incident as it was read, with the count of reasons to look at it (`wanted`)."""

    incident: Mapping[str, Any]
    work: Mapping[str, Any]
    release: Mapping[str, Any] | None
    """Row of the table of releases."""
    said: Mapping[str, Any] | None
    """The newest message: revision, digest, content."""
    sent: Sequence[Sent]
    left: Sequence[Candidate]
    """Units that were with it before."""
    patience_s: float
    """How long the outline may still be waited for."""

    @property
    def id(self) -> str:
        return str(self.incident["id"])

    @property
    def wanted(self) -> int:
        return int(self.work["wanted"])

    @property
    def settled(self) -> bool:
        """Whether nothing is wanted: another look has done it already."""
        return int(self.work["served"]) >= self.wanted and self.work["retry_at"] is None

    @property
    def patient(self) -> bool:
        """Whether this is only another try for what was missing: there is time to wait for an answer."""
        return int(self.work["served"]) >= self.wanted

    @property
    def point(self) -> tuple[float, float] | None:
        lon, lat = self.incident["lon"], self.incident["lat"]
        return None if lon is None else (lon, lat)

    @property
    def outline(self) -> Mapping[str, Any] | None:
        """The outline that holds; None if there is none, or it was lifted."""
        known = self.release
        return known["outline"] if known is not None and known["lifted_at"] is None else None

    @property
    def counted(self) -> Sequence[Candidate]:
        """Units that count for what is needed: by plan each that was ever sent, by an officer's word those that are with it."""
        present = [each.unit for each in self.sent]
        return present if self.work["needs"] is not None else [*present, *self.left]

    @property
    def kept_back(self) -> set[str]:
        """Units that are not sent again: those that are with it, and, by plan, those that left it."""
        return {one.unit for one in self.counted}

    @property
    def over(self) -> bool:
        """Whether nobody needs to be sent any more."""
        return self.incident["closed_at"] is not None or (self.release is not None and self.release["concluded_at"] is not None)

    def as_told(self, wanted: int, release: Mapping[str, Any]) -> Case:
        """The case after an event that changed these columns of the release and nothing else."""
        return replace(self, work={**self.work, "wanted": wanted}, release={**(self.release or {}), **release})

    def awaits_outline(self) -> bool:
        known = self.release
        return self.incident["release"] is not None and self.said is None and not self.over and (known is None or known["outline"] is None)


async def read_case(session: AsyncSession, incident: str) -> Case | None:
    """The incident's case, or None if there is no work for it."""
    latest = select(crew_messages).where(crew_messages.c.incident == incident).order_by(crew_messages.c.revision.desc()).limit(1).subquery("said")
    patience = func.extract("epoch", incident_work.c.outline_until - func.clock_timestamp()).label("left_s")
    parts = {"incidents": incidents, "work": incident_work, "releases": releases, "said": latest}
    columns = [column.label(f"{name}__{column.name}") for name, table in parts.items() for column in table.c if column.name != "recorded_at"]
    source = incidents.join(incident_work, incident_work.c.incident == incidents.c.id).outerjoin(releases, releases.c.id == incidents.c.release)
    query = select(*columns, patience).select_from(source.outerjoin(latest, latest.c.incident == incidents.c.id)).where(incidents.c.id == incident)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    cut = {name: {key.partition("__")[2]: value for key, value in row.items() if key.startswith(f"{name}__")} for name in parts}
    sent, left = await _sent(session, incident)
    return Case(
        incident=cut["incidents"],
        work=cut["work"],
        release=cut["releases"] if cut["releases"]["id"] else None,
        said=cut["said"] if cut["said"]["revision"] else None,
        sent=sent,
        left=left,
        patience_s=max(0.0, float(row["left_s"] or 0.0)),
    )


_PLACED = (
    func.coalesce(unit_positions.c.lon, stations.c.lon).label("lon"),
    func.coalesce(unit_positions.c.lat, stations.c.lat).label("lat"),
)
_FRESH = (
    (unit_positions.c.unit == units.c.code)
    & (unit_positions.c.at > func.now() - text(f"interval '{FRESH_S} seconds'"))
    & (unit_status.c.state != "in_quarters")
)
_WHERE = units.join(unit_status, unit_status.c.unit == units.c.code).outerjoin(unit_positions, _FRESH).outerjoin(stations, stations.c.code == units.c.station)


async def _sent(session: AsyncSession, incident: str) -> tuple[list[Sent], list[Candidate]]:
    query = (
        select(units.c.code, units.c.kind, units.c.capabilities, *_PLACED, assignments.c.on_scene_at, assignments.c.released_at)
        .add_columns(assignments.c.travel_s, assignments.c.travel_times)
        .select_from(_WHERE.join(assignments, assignments.c.unit == units.c.code))
        .where(assignments.c.incident == incident)
        .order_by(assignments.c.assigned_at, units.c.code)
    )
    found = (await session.execute(query)).all()
    with_it = [Sent(_candidate(row), row.on_scene_at is not None, row.travel_s, row.travel_times) for row in found if row.released_at is None]
    present = {each.unit.unit for each in with_it}
    return with_it, list({one.unit: one for row in found if (one := _candidate(row)).unit not in present}.values())


async def available_units(session: AsyncSession) -> list[Candidate]:
    """Units that could be sent now, with the place from which they would set out."""
    columns = (units.c.code, units.c.kind, units.c.capabilities, *_PLACED)
    query = select(*columns).select_from(_WHERE).where(unit_status.c.state.in_(AVAILABLE), unit_status.c.incident.is_(None)).limit(MOST_UNITS)
    return [_candidate(row) for row in await session.execute(query)]


def _candidate(row: Any) -> Candidate:
    return Candidate(row.code, row.kind, frozenset(row.capabilities.split(",")), row.lon, row.lat)


async def needs_of(session: AsyncSession, case: Case) -> Sequence[Need]:
    """What is to be sent to an incident: what was asked for, else the city's plan, else ours."""
    if case.work["needs"] is not None:
        return [Need(tuple(each["unit_kinds"]), each["count"], each["capability"]) for each in case.work["needs"]]
    return await plan_for(session, case.incident["kind"])


async def plan_for(session: AsyncSession, kind: str) -> Sequence[Need]:
    query = select(response_plan).where(response_plan.c.incident_kind == kind).order_by(response_plan.c.position)
    rows = (await session.execute(query)).mappings()
    own = [Need(tuple(row["unit_kinds"]), row["count"], row["capability"]) for row in rows]
    return own or PLAN.get(kind, ONE_ENGINE)


async def closed_now(session: AsyncSession) -> list[Mapping[str, Any]]:
    """Geometries of the closures that hold now, as far as traffic told of them."""
    now = func.now()
    holds = (closures.c.ended_at.is_(None), closures.c.geometry.is_not(None), or_(closures.c.begins_at.is_(None), closures.c.begins_at <= now))
    query = select(closures.c.geometry).where(*holds, or_(closures.c.ends_at.is_(None), closures.c.ends_at > now))
    return list(await session.scalars(query))
