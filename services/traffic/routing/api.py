"""Travel times, routes and isochrones on the roads as they are now, with what is closed obeyed."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.traffic.routing.actions import isochrone, route, travel_times
from services.traffic.routing.schemas import FARTHEST_S, IsochroneOut, RouteAnswer, TravelTimesIn, TravelTimesOut, Vehicle
from shared.auth import Caller, may
from shared.errors import InvalidRequest
from shared.service import Now

router = APIRouter(tags=["routing"])
MayRead = Annotated[Caller, may("traffic:read", "hub:query")]
PointText = Annotated[str, Query(max_length=64, description="Longitude and latitude in degrees, WGS 84, as 112.91,27.87", examples=["112.91,27.87"])]


@router.post("/travel-times", summary="Travel times from many to one")
async def times_to(request: Request, asked: TravelTimesIn, caller: MayRead, now: Now) -> TravelTimesOut:
    """How soon each of the origins is at the destination, and the ways of the soonest.

    An origin in a closed area may leave it. If the destination lies in one, or in `avoid`, the ways end at the last node outside: `ends_at`, `enclosed`.
    Engines and ambulances drive with lights and siren.
    """
    return await travel_times(await request.app.state.runtime.own.roads.now(now), asked)


@router.get("/route", summary="The soonest way")
async def soonest_way(
    request: Request,
    caller: MayRead,
    now: Now,
    start: Annotated[str, Query(alias="from", max_length=64, description="Longitude and latitude, as 112.91,27.87", examples=["112.91,27.87"])],
    to: PointText,
    vehicle: Vehicle = "car",
) -> RouteAnswer:
    """From one point to another, as `POST /travel-times` finds it. `route` is null, and `why` says why, if there is none."""
    return await route(await request.app.state.runtime.own.roads.now(now), _point(start, "/from"), _point(to, "/to"), vehicle)


@router.get("/isochrone", summary="What is reached in time")
async def reached_in_time(
    request: Request,
    caller: MayRead,
    now: Now,
    at: PointText,
    seconds: Annotated[float, Query(ge=1, le=FARTHEST_S, allow_inf_nan=False)] = 480,
    vehicle: Vehicle = "car",
) -> IsochroneOut:
    """What a vehicle that sets out from a point reaches within some seconds: a polygon drawn loosely around the roads, and how much road it holds."""
    return await isochrone(await request.app.state.runtime.own.roads.now(now), _point(at, "/at"), vehicle, seconds)


def _point(text: str, pointer: str) -> tuple[float, float]:
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        lon = lat = math.nan
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise InvalidRequest("A point is longitude,latitude in degrees, such as 112.91,27.87.", pointer=pointer)
    return lon, lat
