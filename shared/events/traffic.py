"""Events of the traffic service."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import AwareDatetime

from shared.events.model import Event


class ClosureOpened(Event):
    """A road or an area is closed to traffic from now on, or from `begins_at`."""

    type: ClassVar[str] = "traffic.closure.opened.v1"
    subject_template: ClassVar[str] = "closures/{closure}"

    closure: str
    revision: int
    """1 for the first; a later one replaces the geometry or the times."""
    reason: str
    """`release`, `incident`, `works`, `event`, `weather` or `other`."""
    begins_at: AwareDatetime
    ends_at: AwareDatetime | None
    geometry: dict[str, Any]
    """GeoJSON, WGS 84: the area, or the line of the road."""
    arcs: int
    """How many arcs of the network it closes."""
    network: str | None
    """Version of the network in which they were counted."""


class ClosureEnded(Event):
    """What was closed is open again."""

    type: ClassVar[str] = "traffic.closure.ended.v1"
    subject_template: ClassVar[str] = "closures/{closure}"

    closure: str
    ended_at: AwareDatetime


class TrafficIncidentReported(Event):
    """Something happened on a road. None for incidents that are recorded more than six hours late."""

    type: ClassVar[str] = "traffic.incident.reported.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    kind: str
    severity: str
    occurred_at: AwareDatetime
    lon: float | None
    lat: float | None
    """Degrees, WGS 84."""


class NetworkReplaced(Event):
    """The road network that answers for routes is another one from now on."""

    type: ClassVar[str] = "traffic.network.replaced.v1"
    subject_template: ClassVar[str] = "network"

    version: str
    nodes: int
    arcs: int
    source: str
