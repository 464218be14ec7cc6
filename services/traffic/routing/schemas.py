"""What crosses HTTP about travel times, routes and isochrones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.traffic.closures.schemas import Geometry
from shared.row_models import Latitude, Longitude, OffsetTime, PlainText, RowModel

Vehicle = Literal["car", "fire_engine", "ambulance"]
MOST_ORIGINS = 5_000
FARTHEST_S = 6 * 3600


class Place(RowModel):
    """A point, WGS 84."""

    lon: Longitude
    lat: Latitude


class Origin(Place):
    """Where something is that may set out."""

    id: PlainText
    vehicle: Annotated[Vehicle | None, Field(description="How it drives, if not as the question says")] = None


class TravelTimesIn(
    RowModel, json_schema_extra={"example": {"origins": [{"id": "YT-01-1", "lon": 112.95, "lat": 27.86}], "destination": {"lon": 112.94, "lat": 27.85}}}
):
    """From many to one."""

    origins: Annotated[list[Origin], Field(max_length=MOST_ORIGINS, description="Their ids differ")]
    destination: Place
    vehicle: Vehicle = "car"
    avoid: Annotated[Geometry | None, Field(description="GeoJSON geometry, WGS 84, that no way goes through, beside what is closed")] = None
    limit_s: Annotated[float, Field(ge=1, le=FARTHEST_S, description="Longer ways are not searched")] = 3600
    routes: Annotated[int, Field(ge=0, le=20, description="The ways of how many of the soonest of each vehicle are wanted")] = 0


class Out(BaseModel):
    """Answers are made here, so they are not checked again."""

    model_config = ConfigDict(frozen=True)


class RouteOut(Out):
    """A way by road."""

    travel_s: float
    length_m: float
    geometry: Annotated[dict[str, Any], Field(description="GeoJSON LineString")]
    ends_at: Annotated[Place, Field(description="The destination; if it lies in a closed area, the last node outside")]
    left_m: Annotated[float, Field(description="Straight from the last node to the destination")]
    enclosed: Annotated[bool, Field(description="Whether the destination lies in a closed area, so that the way ends before it")]


class State(Out):
    """Which roads an answer rests on."""

    network: str
    closures: Annotated[int, Field(description="Closures that held")]
    speeds: Annotated[int, Field(description="Detectors whose speeds held; only cars feel them")]
    as_of: OffsetTime


class TravelTime(Out):
    """How soon one arrives."""

    id: str
    travel_s: Annotated[float | None, Field(description="Null if there is no way within the limit")]


class TravelTimesOut(State):
    """Travel times of all origins, in their order, and the ways of the soonest."""

    times: list[TravelTime]
    routes: dict[str, RouteOut]


class RouteAnswer(State):
    """The soonest way, if there is one."""

    vehicle: Vehicle
    route: RouteOut | None
    why: Annotated[Literal["off-road", "no-way"] | None, Field(description="Why there is none: a point too far from any road, or no way within six hours")]


class IsochroneOut(State):
    """What is reached in time."""

    vehicle: Vehicle
    seconds: float
    geometry: Annotated[dict[str, Any] | None, Field(description="GeoJSON Polygon around what is reached, drawn loosely; null if the point is not on a road")]
    nodes: int
    road_km: Annotated[float, Field(description="Length of the arcs reached, each direction counted")]
