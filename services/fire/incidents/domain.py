"""Which calls are one incident, and how far along an incident is by what its units reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.fire.stations.domain import distance_m

STATES = ("open", "dispatched", "on_scene", "closed")
JOIN_WITHIN = timedelta(minutes=10)
JOIN_WITHIN_M = 300.0
"""Our own: calls about one event come within minutes and from within sight of it. Whoever measures it better changes these two."""
FAMILIES = (
    frozenset({"structure_fire", "smoke_investigation", "alarm", "explosion"}),
    frozenset({"hazmat", "gas_leak", "odor_investigation", "fuel_spill", "industrial_accident"}),
    frozenset({"traffic_collision", "vehicle_fire"}),
)
"""Kinds under which different callers report one event; every other kind stands for itself."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What is compared of a call, or of the first call of an incident that is still open."""

    kind: str
    at: datetime
    lon: float | None
    lat: float | None
    reference: tuple[str, str] | None = None
    """Registry and its number of the incident, if the registry gave one."""


def alike(kind: str, other: str) -> bool:
    """Whether two kinds of call can stand for one event."""
    return kind == other or any(kind in family and other in family for family in FAMILIES)


def joins(call: Reported, incident: Reported) -> float | None:
    """How far a call lies from an incident that it belongs to, in metres; None if it belongs to another.

    The same registry's number of the incident decides, if both bear one. Otherwise kind, time and place must all fit; without a place nothing does.
    """
    if call.reference is not None and incident.reference is not None and call.reference[0] == incident.reference[0]:
        return 0.0 if call.reference == incident.reference else None
    if not alike(call.kind, incident.kind) or abs(call.at - incident.at) > JOIN_WITHIN:
        return None
    if call.lon is None or call.lat is None or incident.lon is None or incident.lat is None:
        return None
    apart = distance_m(call.lon, call.lat, incident.lon, incident.lat)
    return apart if apart <= JOIN_WITHIN_M else None


def nearest(call: Reported, incidents: Iterable[tuple[str, Reported]]) -> str | None:
    """The incident that a call joins: of those that fit the nearest, then the earliest; None opens another."""
    fitting = [(apart, incident.at, name) for name, incident in incidents if (apart := joins(call, incident)) is not None]
    return min(fitting)[2] if fitting else None


@dataclass(frozen=True, slots=True)
class Assigned:
    """One unit's time with an incident."""

    assigned_at: datetime
    on_scene_at: datetime | None
    released_at: datetime | None
    first: bool
    """Whether it belongs to the first assignment, which NFPA 1710 calls the initial full alarm assignment."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an incident's assignments add up to."""

    state: str
    units: int
    dispatched_at: datetime | None
    on_scene_at: datetime | None
    """First unit on scene."""
    assembled_at: datetime | None
    """Last unit of the first assignment on scene; None as long as one is not, or if one was released before it arrived."""
    response_s: float | None
    """Opened to first unit on scene."""
    assembly_s: float | None
    """First dispatch to the whole first assignment on scene."""
    closed_at: datetime | None


def progress(opened_at: datetime, assigned: Iterable[Assigned], *, held_open: bool) -> Progress:
    """How far along an incident is. It closes once all units are free again, unless something else holds it open (a release that goes on)."""
    every = list(assigned)
    dispatched_at = min((one.assigned_at for one in every), default=None)
    arrivals = [one.on_scene_at for one in every if one.on_scene_at is not None]
    on_scene_at = min(arrivals, default=None)
    whole = [one.on_scene_at for one in every if one.first]
    assembled_at = max((at for at in whole if at), default=None) if all(whole) else None
    releases = [one.released_at for one in every]
    closed_at = max((at for at in releases if at), default=None) if all(releases) and not held_open else None
    state = "closed" if closed_at else "on_scene" if on_scene_at else "dispatched" if every else "open"
    return Progress(
        state=state,
        units=len(every),
        dispatched_at=dispatched_at,
        on_scene_at=on_scene_at,
        assembled_at=assembled_at,
        response_s=(on_scene_at - opened_at).total_seconds() if on_scene_at and on_scene_at >= opened_at else None,
        assembly_s=(assembled_at - dispatched_at).total_seconds() if assembled_at and dispatched_at else None,
        closed_at=closed_at,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """That a unit was assigned to an incident from a moment on."""

    incident: str
    assigned_at: datetime


def held_at(assignments: Iterable[Held], at: datetime) -> tuple[Held | None, datetime | None]:
    """The assignment to which a report of this moment belongs, and when the unit's next one began."""
    ordered = sorted(assignments, key=lambda one: one.assigned_at)
    before = [one for one in ordered if one.assigned_at <= at]
    after = [one for one in ordered if one.assigned_at > at]
    return (before[-1] if before else None), (after[0].assigned_at if after else None)
