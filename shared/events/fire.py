"""Events of the fire service."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from shared.events.model import Event


class CallReceived(Event):
    """A call for service came in. None for calls that are recorded more than six hours late or declared historic."""

    type: ClassVar[str] = "fire.call.received.v1"
    subject_template: ClassVar[str] = "calls/{call}"

    call: str
    kind: str
    priority: str
    received_at: AwareDatetime
    lon: float | None
    lat: float | None
    """Degrees, WGS 84; the block or street."""


class IncidentOpened(Event):
    """Something that units are sent to: made of calls, or of a release that another sector reported."""

    type: ClassVar[str] = "fire.incident.opened.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    kind: str
    opened_at: AwareDatetime
    lon: float | None
    lat: float | None


class UnitsDispatched(Event):
    """Units were sent to an incident."""

    type: ClassVar[str] = "fire.units.dispatched.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    units: list[str]
    travel_s: list[float | None]
    """Expected travel time of each unit; null where there is no route."""
    travel_times: Literal["traffic", "copy", "distance"]
    """Whose travel times they are: traffic's live ones, those of the last copy of the network, or straight lines where there never was a network."""


class CrewsInformed(Event):
    """The message to the crews of an incident went out; its content is at the fire service under this revision."""

    type: ClassVar[str] = "fire.crews.informed.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    revision: int
    units: list[str]
    missing: list[str]
    """What could not be had in time: `card`, `outline`, `routes`."""


class IncidentClosed(Event):
    """All units of an incident are free again."""

    type: ClassVar[str] = "fire.incident.closed.v1"
    subject_template: ClassVar[str] = "incidents/{incident}"

    incident: str
    closed_at: AwareDatetime
