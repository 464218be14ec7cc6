"""How long units take: traffic's live times, else our own copy of the network, else straight lines; and which of these it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog

from services.fire.dispatch.domain import AMBULANCES, Candidate, TravelTimes, straight_s
from shared.runtime import Runtime
from shared.source_failures import SourceFailure

DEADLINE_S = 0.3
PATIENT_S = 2.0
"""When the message has gone out and routes are asked for again."""
COPY_S = 1.5
"""How long our own search may take; a network is searched in milliseconds, but the first time it is read from disk."""
MOST_ROUTES = 20
"""Traffic gives no more."""
ROUTES = 12
"""Routes that are asked for although fewer units may go: which of them go is decided afterwards, by kind."""
LIMIT_S = 3600
OFF_ROAD = "no road that is known leads there."
_log = structlog.get_logger("dispatch")
Place = tuple[float, float]


@dataclass(slots=True)
class Travel:
    """Times and ways of some units to one place."""

    source: TravelTimes
    times: dict[str, float | None] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    network: str | None = None
    as_of: str | None = None
    reason: str | None = None
    """Why it was not traffic that answered."""


async def travel(
    runtime: Runtime,
    units: Sequence[Candidate],
    to: Place,
    avoid: Mapping[str, Any] | None,
    closures: Sequence[Mapping[str, Any]],
    wanted: int,
    *,
    patient: bool,
) -> Travel:
    """Times of all units and routes of the soonest, around the outline; never fails."""
    if not units:
        return Travel("traffic")
    groups = [group for group in ([one for one in units if (one.kind in AMBULANCES) is medical] for medical in (False, True)) if group]
    try:
        found = await _ask_traffic(runtime, groups, to, avoid, wanted, PATIENT_S if patient else DEADLINE_S)
    except SourceFailure as failure:
        return await _by_copy(runtime, groups, to, [*closures, *([avoid] if avoid else [])], f"{failure.slug}: {failure.detail}")
    return found if _reached(found) else _by_distance(groups, to, OFF_ROAD)


def _reached(found: Travel) -> bool:
    """Whether anybody has a way. If nobody has, the place is off the roads that are known, and to send nobody would be worse than to guess."""
    return any(seconds is not None for seconds in found.times.values())


def _vehicle(group: Sequence[Candidate]) -> Any:
    return "ambulance" if group[0].kind in AMBULANCES else "fire_engine"


async def _ask_traffic(
    runtime: Runtime, groups: Sequence[Sequence[Candidate]], to: Place, avoid: Mapping[str, Any] | None, wanted: int, within: float
) -> Travel:
    question = {
        "origins": [{"id": one.unit, "lon": one.lon, "lat": one.lat, "vehicle": _vehicle(group)} for group in groups for one in group],
        "destination": {"lon": to[0], "lat": to[1]},
        "avoid": avoid,
        "limit_s": LIMIT_S,
        "routes": min(max(wanted, ROUTES), MOST_ROUTES),
    }
    answer = await runtime.calls.ask("traffic", "/travel-times", within=within, method="POST", json=question)
    try:
        said = orjson.loads(answer.content)
        times = {each["id"]: None if each["travel_s"] is None else float(each["travel_s"]) for each in said["times"]}
        return Travel("traffic", times, dict(said["routes"]), said["network"], said["as_of"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise SourceFailure(f"Traffic's answer is not of the agreed form: {error!r}.") from error


async def _by_copy(runtime: Runtime, groups: Sequence[Sequence[Candidate]], to: Place, closed: Sequence[Mapping[str, Any]], reason: str) -> Travel:
    roads = runtime.own.roads
    found = Travel("copy", reason=reason)
    try:
        async with asyncio.timeout(COPY_S):
            for group in groups:
                ways = await asyncio.to_thread(roads.ways, [(one.lon, one.lat) for one in group], to, _vehicle(group), closed)
                if ways is None:
                    return _by_distance(groups, to, reason)
                found.times |= {one.unit: way.travel_s if way else None for one, way in zip(group, ways, strict=True)}
                found.routes |= {one.unit: _shown(way) for one, way in zip(group, ways, strict=True) if way}
    except (TimeoutError, ImportError, ValueError) as error:
        _log.warning("our copy of the network gave no times", error=repr(error))
        return _by_distance(groups, to, reason)
    if not _reached(found):
        return _by_distance(groups, to, OFF_ROAD)
    found.network, found.as_of = roads.version, roads.as_of.isoformat() if roads.as_of else None
    return found


def _shown(way: Any) -> dict[str, Any]:
    """A way of our own in the form of traffic's."""
    ends_at = {"lon": way.ends_at[0], "lat": way.ends_at[1]}
    return {"geometry": way.geometry, "length_m": way.length_m, "travel_s": way.travel_s, "ends_at": ends_at, "left_m": way.left_m}


def _by_distance(groups: Sequence[Sequence[Candidate]], to: Place, reason: str) -> Travel:
    return Travel("distance", {one.unit: straight_s(one, *to) for group in groups for one in group}, reason=reason)
