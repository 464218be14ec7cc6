"""All that is known of an incident when somebody looks at it: facts, release, outline, units, what was said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Boolean, ColumnElement, Double, FromClause, Select, Text, bindparam, cast, func, literal_column, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import NullType

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
from services.fire.stations.reading import around, hydrants_inside, nearest
from services.fire.stations.schemas import HydrantNear

FRESH_S = 600
"""A unit that drives is where it last said it was, if that is no longer ago; else it is taken to be at its station. Our own."""
MOST_UNITS = 5_000
HYDRANTS_M, HYDRANTS = 500, 5
RELEASE = "hazmat"
"""Kind of an incident that a release opens."""
_HYDRANT = ("code", "kind", "flow_l_s", "lon", "lat")


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


_PARTS: dict[str, FromClause] = {
    "incidents": incidents,
    "work": incident_work,
    "releases": releases,
    "said": select(crew_messages).where(crew_messages.c.incident == bindparam("incident")).order_by(crew_messages.c.revision.desc()).limit(1).subquery("said"),
}
_COLUMNS = [(name, column) for name, table in _PARTS.items() for column in table.c if column.name != "recorded_at"]
_CASE = (
    select(*(column.label(f"{name}__{column.name}") for name, column in _COLUMNS))
    .add_columns(func.extract("epoch", incident_work.c.outline_until - func.clock_timestamp()).label("left_s"))
    .join_from(incidents, incident_work, incident_work.c.incident == incidents.c.id)
    .outerjoin(releases, releases.c.id == incidents.c.release)
    .outerjoin(_PARTS["said"], _PARTS["said"].c.incident == incidents.c.id)
    .where(incidents.c.id == bindparam("incident"))
)


async def read_case(session: AsyncSession, incident: str) -> Case | None:
    """The incident's case, or None if there is no work for it."""
    row = (await session.execute(_CASE, {"incident": incident})).one_or_none()
    if row is None:
        return None
    cut: dict[str, dict[str, Any]] = {name: {} for name in _PARTS}
    for (name, column), value in zip(_COLUMNS, row, strict=False):
        cut[name][column.name] = value
    sent, left = await _sent(session, incident) if cut["incidents"]["units"] else ([], [])
    return Case(
        incident=cut["incidents"],
        work=cut["work"],
        release=cut["releases"] if cut["releases"]["id"] else None,
        said=cut["said"] if cut["said"]["revision"] else None,
        sent=sent,
        left=left,
        patience_s=max(0.0, float(row.left_s or 0.0)),
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


_SENT = (
    select(units.c.code, units.c.kind, units.c.capabilities, *_PLACED, assignments.c.on_scene_at, assignments.c.released_at)
    .add_columns(assignments.c.travel_s, assignments.c.travel_times)
    .select_from(_WHERE.join(assignments, assignments.c.unit == units.c.code))
    .where(assignments.c.incident == bindparam("incident"))
    .order_by(assignments.c.assigned_at, units.c.code)
)


async def _sent(session: AsyncSession, incident: str) -> tuple[list[Sent], list[Candidate]]:
    found = (await session.execute(_SENT, {"incident": incident})).all()
    with_it = [Sent(_candidate(row), row.on_scene_at is not None, row.travel_s, row.travel_times) for row in found if row.released_at is None]
    present = {each.unit.unit for each in with_it}
    return with_it, list({one.unit: one for row in found if (one := _candidate(row)).unit not in present}.values())


def _candidate(row: Any) -> Candidate:
    return Candidate(row.code, row.kind, frozenset(row.capabilities.split(",")), row.lon, row.lat)


@dataclass(frozen=True, slots=True)
class Known:
    """What our own database tells before anybody is asked."""

    needs: Sequence[Need]
    candidates: Sequence[Candidate]
    """Units that could be sent now, with the place from which they would set out."""
    hydrants: Sequence[HydrantNear]
    closures: Sequence[Mapping[str, Any]]
    """Geometries of the closures that hold now, as far as traffic told of them."""


def _lists() -> dict[str, Select[*tuple[Any, ...]]]:
    """What `read_known` reads."""
    holds = (closures.c.ended_at.is_(None), closures.c.geometry.is_not(None), or_(closures.c.begins_at.is_(None), closures.c.begins_at <= func.now()))
    place = {name: bindparam(name, type_=Double) for name in ("lon", "lat", "west", "south", "east", "north")}
    free = (bindparam("dispatch", type_=Boolean), unit_status.c.state.in_(AVAILABLE), unit_status.c.incident.is_(None))
    plan = select(response_plan.c.unit_kinds, response_plan.c.count, response_plan.c.capability)
    return {
        "candidates": select(units.c.code, units.c.kind, units.c.capabilities, *_PLACED).select_from(_WHERE).where(*free).limit(MOST_UNITS),
        "hydrants": hydrants_inside(place),
        "plan": plan.where(response_plan.c.incident_kind == bindparam("kind", type_=Text)).order_by(response_plan.c.position),
        "closed": select(cast(closures.c.geometry, Text)).where(*holds, or_(closures.c.ends_at.is_(None), closures.c.ends_at > func.now())),
    }


def _listed(rows: Select[*tuple[Any, ...]], name: str) -> ColumnElement[Any]:
    """The rows of a query as an array of records, in one column."""
    return select(func.array_agg(literal_column(name), type_=NullType())).select_from(rows.subquery(name)).scalar_subquery().label(name)


_KNOWN = select(*(_listed(rows, name) for name, rows in _lists().items()))
"""One statement, one round trip: a crew waits."""
_NOWHERE = dict.fromkeys(("lon", "lat", "west", "south", "east", "north"))


async def read_known(
    session: AsyncSession, kind: str, point: tuple[float, float] | None, needs: Sequence[Mapping[str, Any]] | None, *, dispatch: bool
) -> Known:
    """What is to be sent to an incident (what was asked for, else the city's plan, else ours), who could go, what is near and what is closed."""
    asked = {"kind": kind, "dispatch": dispatch, **(around(*point, HYDRANTS_M) if point else _NOWHERE)}
    found = (await session.execute(_KNOWN, asked)).one()
    near = [dict(zip(_HYDRANT, row, strict=True)) for row in found.hydrants or ()]
    plan = found.plan or () if needs is None else [(each["unit_kinds"], each["count"], each["capability"]) for each in needs]
    stated = [Need(tuple(kinds), count, capability) for kinds, count, capability in plan]
    return Known(
        needs=stated or (PLAN.get(kind, ONE_ENGINE) if needs is None else ()),
        candidates=[Candidate(code, sort, frozenset(said.split(",")), lon, lat) for code, sort, said, lon, lat in found.candidates or ()],
        hydrants=nearest(near, *point, within_m=HYDRANTS_M, limit=HYDRANTS) if point else (),
        closures=[orjson.loads(geometry) for (geometry,) in found.closed or ()],
    )
