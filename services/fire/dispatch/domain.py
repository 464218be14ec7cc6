"""Which units an incident needs, which of them go, and where they must stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import asin, atan2, cos, degrees, radians, sin
from typing import Literal

from services.fire.stations.domain import EARTH_M, distance_m

TravelTimes = Literal["traffic", "copy", "distance"]
OURS = "Liandong's own; a city puts its own plan in its place with PUT /response-plan"
DETOUR = 1.4
"""Length of a way by road over the straight line. Our assumption, between the 1.2 to 1.5 commonly found for cities; from memory, to be verified."""
ASSUMED_KMH = 40.0
"""Speed with lights and siren along that way. Our assumption."""
AMBULANCES = ("medic", "ambulance")
STAGING_M = 50.0
"""How far upwind of the isolation distance crews gather, and how far apart places are tried. Our own."""


@dataclass(frozen=True, slots=True)
class Need:
    """So many units of these kinds, all with a capability if one is named."""

    kinds: tuple[str, ...]
    count: int
    capability: str | None = None


def _plan(*needs: tuple[tuple[str, ...], int] | tuple[tuple[str, ...], int, str]) -> tuple[Need, ...]:
    return tuple(Need(*need) for need in needs)


HAZMAT = ("engine", "rescue_squad", "support")
PLAN: dict[str, tuple[Need, ...]] = {
    "structure_fire": _plan((("engine",), 3), (("ladder",), 1), (("rescue_squad", "rescue_captain"), 1), (("chief",), 1), (AMBULANCES, 1)),
    "explosion": _plan((("engine",), 3), (("ladder",), 1), (("rescue_squad", "rescue_captain"), 1), (("chief",), 1), (AMBULANCES, 2)),
    "vehicle_fire": _plan((("engine",), 1)),
    "outside_fire": _plan((("engine",), 1)),
    "alarm": _plan((("engine",), 1), (("ladder",), 1)),
    "smoke_investigation": _plan((("engine",), 1)),
    "odor_investigation": _plan((("engine",), 1)),
    "gas_leak": _plan((("engine",), 2), (HAZMAT, 1, "hazmat"), (AMBULANCES, 1)),
    "hazmat": _plan((("engine",), 2), (HAZMAT, 1, "hazmat"), (AMBULANCES, 1)),
    "fuel_spill": _plan((("engine",), 1)),
    "electrical_hazard": _plan((("engine",), 1)),
    "medical": _plan((AMBULANCES, 1)),
    "traffic_collision": _plan((("engine",), 1), (AMBULANCES, 1)),
    "rescue": _plan((("rescue_squad", "rescue_captain"), 1), (("engine",), 1), (AMBULANCES, 1)),
    "elevator_rescue": _plan((("ladder", "rescue_squad"), 1)),
    "water_rescue": _plan((("rescue_squad", "rescue_captain"), 1), (("engine",), 1), (AMBULANCES, 1)),
    "industrial_accident": _plan((("engine",), 2), (("rescue_squad", "rescue_captain"), 1), (AMBULANCES, 1)),
}
"""The first assignment for each kind. Our own: NFPA 1710 (2020), 5.2.4 counts people on scene, not vehicles, and cities differ."""
ONE_ENGINE = _plan((("engine",), 1))
"""For kinds without a plan."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit that might go."""

    unit: str
    kind: str
    capabilities: frozenset[str] = frozenset()
    lon: float | None = None
    lat: float | None = None
    travel_s: float | None = None
    """Seconds to the incident; None if there is no way."""


def meets(need: Need, one: Candidate) -> bool:
    """Whether a unit is of the kind that is needed."""
    return one.kind in need.kinds and (need.capability is None or need.capability in one.capabilities)


def _scarce_first(needs: Iterable[Need]) -> list[Need]:
    """Needs of a capability before others, so that a common unit is not taken where only a special one will do."""
    return sorted(needs, key=lambda need: (need.capability is None, len(need.kinds)))


def outstanding(needs: Sequence[Need], sent: Iterable[Candidate]) -> list[Need]:
    """What is still needed beside the units that were sent; each of them serves one need."""
    left, rest = list(sent), []
    for need in _scarce_first(needs):
        serving = [one for one in left if meets(need, one)][: need.count]
        left = [one for one in left if one not in serving]
        if len(serving) < need.count:
            rest.append(replace(need, count=need.count - len(serving)))
    return rest


def choose(needs: Sequence[Need], candidates: Iterable[Candidate]) -> list[Candidate]:
    """The units that go: for each need the soonest that are left. A unit without a way is not sent. Needs that nobody meets stay open (`outstanding`)."""
    left = sorted((one for one in candidates if one.travel_s is not None), key=lambda one: (one.travel_s, one.unit))
    going: list[Candidate] = []
    for need in _scarce_first(needs):
        serving = [one for one in left if meets(need, one)][: need.count]
        left = [one for one in left if one not in serving]
        going += serving
    return going


def worth_asking(needs: Sequence[Need], candidates: Iterable[Candidate], lon: float, lat: float, *, of_each: int = 12) -> list[Candidate]:
    """The candidates whose travel times are asked for: of those that meet a need the nearest in a straight line, many times more than will go."""
    apart = [(distance_m(one.lon, one.lat, lon, lat), one.unit, one) for one in candidates if one.lon is not None and one.lat is not None]
    near = [one for *_, one in sorted(apart, key=lambda each: each[:2])]
    wanted = {one.unit for need in needs for one in [each for each in near if meets(need, each)][: of_each + 4 * need.count]}
    return [one for one in near if one.unit in wanted]


def straight_s(one: Candidate, lon: float, lat: float) -> float | None:
    """Seconds by the straight line: an estimate for when no network was ever there."""
    if one.lon is None or one.lat is None:
        return None
    return round(distance_m(one.lon, one.lat, lon, lat) * DETOUR / (ASSUMED_KMH / 3.6), 1)


def moved(lon: float, lat: float, bearing_deg: float, metres: float) -> tuple[float, float]:
    """The point at a distance along a great circle, longitude and latitude in degrees (WGS 84 taken for a sphere)."""
    along, first, turn = metres / EARTH_M, radians(lat), radians(bearing_deg)
    second = asin(sin(first) * cos(along) + cos(first) * sin(along) * cos(turn))
    east = atan2(sin(turn) * sin(along) * cos(first), cos(along) - sin(first) * sin(second))
    return (lon + degrees(east) + 540) % 360 - 180, degrees(second)


def staging(
    lon: float, lat: float, wind_from_deg: float | None, isolation_m: float, inside: Callable[[float, float], bool], *, farthest_m: float = 5_000
) -> tuple[float, float] | None:
    """Where crews gather: upwind of the release, beyond the isolation distance and outside the outline. None if the wind is unknown or no place is found."""
    if wind_from_deg is None:
        return None
    metres = isolation_m + STAGING_M
    while metres <= farthest_m:
        place = moved(lon, lat, wind_from_deg, metres)
        if not inside(*place):
            return place
        metres += STAGING_M
    return None
