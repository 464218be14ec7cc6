"""Incidents as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field


class AssignedUnit(BaseModel):
    """A unit that was sent."""

    unit: str
    assigned_at: datetime
    on_scene_at: datetime | None
    released_at: datetime | None
    travel_s: Annotated[float | None, Field(description="Expected travel time in seconds when it was sent; null where there is no route")]
    travel_times: Annotated[str, Field(description="traffic: live; copy: of the last copy of the network; distance: by straight lines")]


class IncidentOut(BaseModel):
    """An incident with its calls and the units that were sent."""

    id: str
    kind: str
    priority: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    area: str
    lon: float | None
    lat: float | None
    release: Annotated[str | None, Field(description="The release that it is about")]
    calls: list[str]
    units: list[AssignedUnit]
    dispatched_at: datetime | None
    on_scene_at: Annotated[datetime | None, Field(description="First unit on scene")]
    assembled_at: Annotated[datetime | None, Field(description="Whole first assignment on scene")]
    response_s: Annotated[float | None, Field(description="Opened to first unit on scene, seconds")]
    assembly_s: Annotated[float | None, Field(description="First dispatch to whole first assignment on scene, seconds")]
    message: Annotated[int | None, Field(description="Newest revision of the message to the crews")]
    short: Annotated[bool, Field(description="Whether units that are needed could not be sent yet")]
