"""Incidents on roads as they cross HTTP. Nothing of the persons involved."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.places import PlacedRow
from shared.row_models import OffsetTime, PlainText, Reference

Kind = Literal["crash", "breakdown", "obstruction", "flooding", "ice", "spill", "signal_failure", "congestion", "event", "other"]
KINDS: tuple[str, ...] = ("crash", "breakdown", "obstruction", "flooding", "ice", "spill", "signal_failure", "congestion", "event", "other")
Severity = Literal["fatal", "serious", "minor", "possible", "none", "unknown"]
SEVERITIES: tuple[str, ...] = ("fatal", "serious", "minor", "possible", "none", "unknown")
"""The worst injury: K, A, B, C and O of the KABCO scale, and what is not known yet."""


class IncidentIn(
    PlacedRow,
    json_schema_extra={
        "example": {"number": "2026-1122-7", "kind": "crash", "occurred_at": "2026-11-22T08:00:00+08:00", "lon": 112.94, "lat": 27.85, "crs": "wgs84"}
    },
):
    """An incident as its registry has it."""

    registry: Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the incident within the registry")]
    kind: Kind
    severity: Annotated[Severity, Field(description="Worst injury, KABCO")] = "unknown"
    occurred_at: OffsetTime
    cleared_at: Annotated[OffsetTime | None, Field(description="When the road was clear again")] = None
    road_class: Annotated[PlainText | None, Field(description="In the registry's own code")] = None
    pedestrian: Annotated[bool | None, Field(description="Whether somebody on foot was involved")] = None
    cyclist: Annotated[bool | None, Field(description="Whether somebody on a bicycle was involved")] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.cleared_at is not None and self.cleared_at < self.occurred_at:
            raise ValueError("cleared_at lies before occurred_at")
        return self


class IncidentOut(BaseModel):
    """An incident as it is recorded."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    registry: str
    number: str
    kind: str
    severity: str
    occurred_at: OffsetTime
    cleared_at: OffsetTime | None
    road_class: str | None
    pedestrian: bool | None
    cyclist: bool | None
    area: str
    lon: float | None
    lat: float | None
