"""A CAP alert as plain values. Points are longitude, latitude here, as everywhere in this project; in the XML they are latitude, longitude."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

NAMESPACES = {
    "urn:oasis:names:tc:emergency:cap:1.2": "1.2",
    "urn:oasis:names:tc:emergency:cap:1.1": "1.1",
    "http://www.incident.com/cap/1.0": "1.0",
}
CAP12 = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml"

Status = Literal["Actual", "Exercise", "System", "Test", "Draft"]
MsgType = Literal["Alert", "Update", "Cancel", "Ack", "Error"]
Scope = Literal["Public", "Restricted", "Private"]
Category = Literal["Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other"]
ResponseType = Literal["Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"]
Urgency = Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
Severity = Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
Certainty = Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
Point = tuple[float, float]
"""Longitude, latitude in degrees, WGS 84."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named value: `parameter`, `eventCode` or `geocode`."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier message that this one is about."""

    sender: str
    identifier: str
    sent: datetime


@dataclass(frozen=True, slots=True)
class Circle:
    centre: Point
    radius_km: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    description: str
    mime_type: str
    size: int | None = None
    """Bytes."""
    uri: str | None = None
    deref_uri: str | None = None
    """The content itself, base64."""
    digest: str | None = None
    """SHA-1, as the standard has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    description: str
    polygons: tuple[tuple[Point, ...], ...] = ()
    """Rings: at least four points, the last like the first."""
    circles: tuple[Circle, ...] = ()
    geocodes: tuple[Parameter, ...] = ()
    altitude: float | None = None
    ceiling: float | None = None
    """Feet above mean sea level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What is to be said, in one language."""

    event: str
    urgency: Urgency
    severity: Severity
    certainty: Certainty
    categories: tuple[Category, ...]
    language: str = "en-US"
    response_types: tuple[ResponseType, ...] = ()
    audience: str | None = None
    event_codes: tuple[Parameter, ...] = ()
    effective: datetime | None = None
    onset: datetime | None = None
    expires: datetime | None = None
    sender_name: str | None = None
    headline: str | None = None
    description: str | None = None
    instruction: str | None = None
    web: str | None = None
    contact: str | None = None
    parameters: tuple[Parameter, ...] = ()
    resources: tuple[Resource, ...] = ()
    areas: tuple[Area, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A CAP message (3.2.1). Times bear their offset."""

    identifier: str
    sender: str
    sent: datetime
    status: Status
    kind: MsgType
    scope: Scope
    source: str | None = None
    restriction: str | None = None
    addresses: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    note: str | None = None
    references: tuple[Reference, ...] = ()
    incidents: tuple[str, ...] = ()
    infos: tuple[Info, ...] = ()
    version: str = field(default="1.2", compare=False)
    """Of the standard that the document named; `build` always writes 1.2."""
    deviations: tuple[str, ...] = field(default=(), compare=False)
    """What `parse` forgave the issuer: where it stands and what it was."""
    original: bytes = field(default=b"", compare=False, repr=False)
    """The document as it came: what signatures and records are about."""

    @property
    def reference(self) -> Reference:
        """How later messages refer to this one."""
        return Reference(self.sender, self.identifier, self.sent)
