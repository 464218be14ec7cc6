"""Stations, units, hydrants, states and positions as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from services.fire.calls.schemas import UnitKind
from services.fire.stations.domain import HYDRANT_KINDS, STATES, STATION_KINDS, STATION_STATES
from shared.places import PlacedRow
from shared.row_models import AreaCode, Latitude, Longitude, OffsetTime, PlainText, Reference, RowModel

StationKind = Literal[STATION_KINDS]  # type: ignore[valid-type]  # the domain lists them once
StationState = Literal[STATION_STATES]  # type: ignore[valid-type]  # the domain lists them once
HydrantKind = Literal[HYDRANT_KINDS]  # type: ignore[valid-type]  # the domain lists them once
State = Literal[STATES]  # type: ignore[valid-type]  # the domain lists them once
Capability = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9_]+$")]
Capabilities = Annotated[str, Field(max_length=400, pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$"), AfterValidator(lambda text: ",".join(sorted(set(text.split(",")))))]


class StationIn(PlacedRow):
    """A station that units belong to, or another facility that they drive to."""

    code: Reference
    kind: StationKind = "fire_station"
    status: StationState = "in_service"
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    address: PlainText | None = None
    vehicles: Annotated[int | None, Field(ge=0, le=1000, description="Vehicles that it has room for")] = None
    note: PlainText | None = None


class UnitIn(RowModel):
    """A unit: a vehicle with its crew, no persons."""

    code: Reference
    kind: UnitKind
    station: Annotated[Reference | None, Field(description="Its home station, which must be known")] = None
    area: Annotated[AreaCode | None, Field(description="Where it is at home, if it has no station")] = None
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    capabilities: Annotated[Capabilities | None, Field(description="Words separated by commas: `foam,hazmat`")] = None


class HydrantIn(PlacedRow):
    """A place to take water from."""

    code: Reference
    kind: HydrantKind = "unknown"
    flow_l_s: Annotated[float | None, Field(ge=0, le=10_000, description="Flow in litres per second, if known")] = None
    in_service: bool = True
    note: PlainText | None = None


class StateIn(RowModel, json_schema_extra={"example": {"state": "en_route", "at": "2026-11-22T08:00:00+08:00"}}):
    """That a unit is in a state from a moment on."""

    state: State
    at: OffsetTime


class PositionIn(RowModel):
    """Where a unit was."""

    unit: Reference
    lon: Longitude
    lat: Latitude
    at: OffsetTime


class UnitOut(BaseModel):
    """A unit as it is now."""

    code: str
    kind: str
    station: str | None
    name_zh: str | None
    name_en: str | None
    capabilities: list[str]
    area: str
    state: str
    state_at: datetime
    incident: Annotated[str | None, Field(description="That it is assigned to")]
    lon: float | None
    lat: float | None
    position_at: Annotated[datetime | None, Field(description="null: it has never said where it is")]


class StateOut(BaseModel):
    """One report of a unit's state."""

    at: datetime
    state: str
    incident: str | None


class HydrantNear(BaseModel):
    """A hydrant near a point."""

    code: str
    kind: str
    flow_l_s: Annotated[float | None, Field(description="Litres per second; null if unknown")]
    lon: float
    lat: float
    distance_m: Annotated[float, Field(description="Great-circle distance")]
