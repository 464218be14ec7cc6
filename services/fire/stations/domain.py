"""What units do, one state after another, and what a report of a state says about a response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import asin, cos, radians, sin, sqrt

STATION_KINDS = ("fire_station", "ems_station", "hospital", "other")
STATION_STATES = ("in_service", "closed", "artificial")
"""`artificial`: made up by the publisher for a model, not a station that exists."""
HYDRANT_KINDS = ("pillar", "underground", "wall", "pond", "tank", "other", "unknown")
STATES = ("dispatched", "en_route", "on_scene", "transporting", "returning", "available_on_radio", "in_quarters", "out_of_service")
"""In the order in which one follows another at the same moment."""
AVAILABLE = ("returning", "available_on_radio", "in_quarters")
"""Units in these states can be sent. That a returning unit can is our rule; NFPA 1225 leaves it to the agency."""
FREE = (*AVAILABLE, "out_of_service")
"""States that end a response."""
MOMENTS = {"en_route": "en_route_at", "on_scene": "on_scene_at", "transporting": "transport_at"}
"""The moment of a response that a state's report gives."""
EARTH_M = 6_371_008.8
"""Mean radius (IUGG)."""


@dataclass(frozen=True, slots=True)
class Report:
    """That a unit was in a state from a moment on."""

    at: datetime
    state: str


def later(first: Report, second: Report) -> Report:
    """Which of two reports tells the newer state; at the same moment the state that follows the other."""
    return max(first, second, key=lambda report: (report.at, STATES.index(report.state)))


def moments(reports: Iterable[Report]) -> dict[str, datetime]:
    """The moments of one response that its reports give: the first of each state, whatever the order in which they came.

    `available_at` is the first moment at which the unit was free again.
    """
    found: dict[str, datetime] = {}
    for report in sorted(reports, key=lambda report: report.at):
        name = "available_at" if report.state in FREE else MOMENTS.get(report.state)
        if name is not None:
            found.setdefault(name, report.at)
    return found


def distance_m(lon: float, lat: float, other_lon: float, other_lat: float) -> float:
    """Great-circle distance by the haversine formula, in metres."""
    first, second = radians(lat), radians(other_lat)
    half = sin((second - first) / 2) ** 2 + cos(first) * cos(second) * sin(radians(other_lon - lon) / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))
