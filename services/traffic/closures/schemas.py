"""Closures as they cross HTTP, and the geometries that close roads."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.row_models import AreaCode, OffsetTime, PlainText, RowModel

MOST_POINTS = 10_000
"""Points of one geometry."""
MOST_EVENT_POINTS = 1_000
"""Points of a closure, whose event must stay below 64 KiB."""
FARTHEST_UP_M = 100_000
Position = Annotated[list[float], Field(min_length=2, max_length=3)]
Line = Annotated[list[Position], Field(min_length=2, max_length=MOST_POINTS)]
Ring = Annotated[list[Position], Field(min_length=4, max_length=MOST_POINTS)]
Rings = Annotated[list[Ring], Field(min_length=1, max_length=1_000)]
Reason = Literal["incident", "works", "event", "weather", "other"]


class PointShape(RowModel):
    """A place on a road."""

    type: Literal["Point"]
    coordinates: Position


class LineShape(RowModel):
    """Along a road."""

    type: Literal["LineString"]
    coordinates: Line


class LinesShape(RowModel):
    """Along several roads."""

    type: Literal["MultiLineString"]
    coordinates: Annotated[list[Line], Field(min_length=1, max_length=1_000)]


class PolygonShape(RowModel):
    """An area."""

    type: Literal["Polygon"]
    coordinates: Rings


class PolygonsShape(RowModel):
    """Several areas."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Rings], Field(min_length=1, max_length=1_000)]


Shape = Annotated[PointShape | LineShape | LinesShape | PolygonShape | PolygonsShape, Field(discriminator="type")]


def positions(geometry: Any) -> list[list[float]]:
    """All points of a shape."""
    found, parts = [], [geometry.coordinates]
    while parts:
        part = parts.pop()
        if isinstance(part[0], list):
            parts += part
        else:
            found.append(part)
    return found


def _bounded(geometry: Any) -> Any:
    points = positions(geometry)
    if len(points) > MOST_POINTS:
        raise ValueError(f"at most {MOST_POINTS} points")
    if any(len(point) > 2 and abs(point[2]) > FARTHEST_UP_M for point in points):
        raise ValueError("the third number of a position is its height in metres")
    if any(abs(point[0]) > 180 or abs(point[1]) > 90 for point in points):
        raise ValueError("coordinates are longitude and latitude in degrees, WGS 84")
    if geometry.type.endswith("Polygon"):
        rings = geometry.coordinates if geometry.type == "Polygon" else [ring for rings in geometry.coordinates for ring in rings]
        if any(ring[0][:2] != ring[-1][:2] for ring in rings):
            raise ValueError("the rings of a polygon end where they begin (RFC 7946, 3.1.6)")
        if any(abs(one[0] - other[0]) > 180 for ring in rings for one, other in itertools.pairwise(ring)):
            raise ValueError("cut what crosses the 180th meridian in two there (RFC 7946, 3.1.9)")
    return geometry


Geometry = Annotated[Shape, AfterValidator(_bounded)]
"""A GeoJSON geometry, WGS 84."""


def _publishable(geometry: Any) -> Any:
    if len(positions(geometry)) > MOST_EVENT_POINTS:
        raise ValueError(f"a closure has at most {MOST_EVENT_POINTS} points")
    return geometry


class ClosureIn(
    RowModel,
    json_schema_extra={
        "example": {
            "reason": "works",
            "note": "管道施工",
            "geometry": {"type": "Polygon", "coordinates": [[[112.94, 27.85], [112.95, 27.85], [112.95, 27.86], [112.94, 27.85]]]},
        }
    },
):
    """Roads that are closed, or will be."""

    reason: Reason
    note: PlainText | None = None
    begins_at: Annotated[OffsetTime | None, Field(description="Now if not given")] = None
    ends_at: Annotated[OffsetTime | None, Field(description="Until somebody ends it if not given")] = None
    area: Annotated[AreaCode | None, Field(description="Area code; found from the geometry if not given")] = None
    regarding: Annotated[str | None, Field(pattern=r"^(incidents|releases)/[A-Za-z0-9._~-]{1,64}$", description="What it belongs to: incidents/<id>")] = None
    geometry: Annotated[Geometry, AfterValidator(_publishable), Field(description="The closed area, or a line along the closed road; GeoJSON, WGS 84")]

    @model_validator(mode="after")
    def _lasting(self) -> Self:
        if self.begins_at is not None and self.ends_at is not None and self.ends_at <= self.begins_at:
            raise ValueError("ends_at comes after begins_at")
        return self


class Revised(RowModel, json_schema_extra={"example": {"ends_at": "2026-11-22T18:00:00+08:00"}}):
    """What is different from now on; what is not given stays."""

    note: PlainText | None = None
    begins_at: OffsetTime | None = None
    ends_at: OffsetTime | None = None
    geometry: Annotated[Geometry, AfterValidator(_publishable)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give what changes")
        return self


class ClosureOut(BaseModel):
    """A closure as it stands."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="ignore")

    id: str
    revision: int
    reason: str
    note: str | None
    begins_at: OffsetTime
    ends_at: OffsetTime | None
    ended_at: OffsetTime | None
    regarding: str | None
    release: str | None
    area: str
    arcs: Annotated[int, Field(description="How many arcs of the network it closes")]
    network: Annotated[str | None, Field(description="Version of the network in which they were counted")]
    geometry: dict[str, Any] | None
