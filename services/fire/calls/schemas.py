"""Calls and responses as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.fire.calls.domain import KINDS, PRIORITIES, UNIT_KINDS
from shared.places import PlacedRow
from shared.row_models import OffsetTime, Reference, RowModel

Kind = Literal[KINDS]  # type: ignore[valid-type]  # the domain lists them once
Priority = Literal[PRIORITIES]  # type: ignore[valid-type]  # the domain lists them once
UnitKind = Literal[UNIT_KINDS]  # type: ignore[valid-type]  # the domain lists them once


class CallIn(
    PlacedRow,
    json_schema_extra={
        "example": {
            "number": "call-1",
            "kind": "structure_fire",
            "priority": "emergency",
            "received_at": "2026-11-22T08:00:00+08:00",
            "lon": 112.94,
            "lat": 27.85,
            "crs": "wgs84",
        }
    },
):
    """A call for service. Nothing about the caller; the point is that of the block or street, not of a person's door."""

    registry: Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the call within the registry")]
    incident: Annotated[Reference | None, Field(description="Number of the incident that it belongs to")] = None
    kind: Kind
    priority: Priority
    alarms: Annotated[int | None, Field(ge=1, le=20, description="Number of alarms")] = None
    received_at: Annotated[OffsetTime, Field(description="When the call came in")]
    entered_at: Annotated[OffsetTime | None, Field(description="When it was entered for dispatch")] = None


class UnitReport(
    RowModel,
    json_schema_extra={
        "example": {"unit": "YT-01-1", "unit_kind": "engine", "dispatched_at": "2026-11-22T08:00:00+08:00", "en_route_at": "2026-11-22T08:01:10+08:00"}
    },
):
    """The moments of one unit's response, as far as they are known."""

    unit: Reference
    unit_kind: UnitKind
    dispatched_at: OffsetTime
    en_route_at: OffsetTime | None = None
    on_scene_at: OffsetTime | None = None
    transport_at: Annotated[OffsetTime | None, Field(description="Leaving for a hospital")] = None
    hospital_at: Annotated[OffsetTime | None, Field(description="Arriving there")] = None
    available_at: OffsetTime | None = None


class ResponseIn(CallIn, UnitReport):
    """One unit's response together with its call; every response to a call states the call alike."""

    number: Annotated[Reference, Field(description="Number of the call within the registry")]


class ResponseOut(BaseModel):
    """One unit's response."""

    id: str
    unit: str
    unit_kind: str
    dispatched_at: datetime
    en_route_at: datetime | None
    on_scene_at: datetime | None
    transport_at: datetime | None
    hospital_at: datetime | None
    available_at: datetime | None
    turnout_s: float | None
    travel_s: float | None
    response_s: float | None
    quality: int


class CallOut(BaseModel):
    """A call with the units that responded."""

    id: str
    registry: str
    number: str
    incident: str | None
    kind: str
    priority: str
    alarms: int | None
    received_at: datetime
    entered_at: datetime | None
    area: str
    lon: float | None
    lat: float | None
    units: int
    dispatched_at: datetime | None
    on_scene_at: datetime | None
    closed_at: datetime | None
    handling_s: float | None
    response_s: float | None
    quality: int
    responses: list[ResponseOut]


class Performance(BaseModel):
    """How responses kept to one standard."""

    code: str
    source: str
    limit_s: float
    required_share: Annotated[float | None, Field(description="null if the source states none")]
    counted: Annotated[int, Field(description="Responses with both moments known and in order")]
    within: Annotated[int, Field(description="Of these, within the limit")]
    met: Annotated[bool | None, Field(description="null if there were none, or no share is required")]
