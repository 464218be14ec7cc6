"""Searches on the roads as they are, each in a thread of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from services.traffic.routing.reading import RoadsNow
from services.traffic.routing.schemas import IsochroneOut, RouteAnswer, RouteOut, TravelTime, TravelTimesIn, TravelTimesOut, Vehicle
from shared.errors import InvalidBody

if TYPE_CHECKING:
    from shared.roads import Route

Point = tuple[float, float]


async def travel_times(roads: RoadsNow, asked: TravelTimesIn) -> TravelTimesOut:
    """From all origins to the destination, by one search backwards from it for each kind of vehicle."""
    ids = [origin.id for origin in asked.origins]
    if len(set(ids)) != len(ids):
        raise InvalidBody("Two origins have one id.", pointer="/origins")
    return await asyncio.to_thread(_travel_times, roads, asked)


def _travel_times(roads: RoadsNow, asked: TravelTimesIn) -> TravelTimesOut:
    from shared.roads import BadGeometry

    router = roads.router
    if asked.avoid is not None:
        try:
            router = router.avoiding(roads.masks.of(router.network, asked.avoid.model_dump()))
        except BadGeometry as error:
            raise InvalidBody(str(error), pointer="/avoid") from error
    times: dict[str, float | None] = {}
    routes: dict[str, RouteOut] = {}
    for vehicle in sorted({origin.vehicle or asked.vehicle for origin in asked.origins}):
        group = [origin for origin in asked.origins if (origin.vehicle or asked.vehicle) == vehicle]
        destination = (asked.destination.lon, asked.destination.lat)
        reach = router.many_to_one([(each.lon, each.lat) for each in group], destination, vehicle, asked.limit_s, ways=asked.routes > 0)
        seconds = [None if each == float("inf") else round(each, 1) for each in reach.seconds.tolist()]
        times |= {origin.id: each for origin, each in zip(group, seconds, strict=True)}
        soonest = sorted((each, place) for place, each in enumerate(seconds) if each is not None)[: asked.routes]
        routes |= {group[place].id: _route(reach.route(place)) for _, place in soonest}
    ordered = [TravelTime.model_construct(id=origin.id, travel_s=times[origin.id]) for origin in asked.origins]
    return TravelTimesOut.model_construct(**_state(roads), times=ordered, routes=routes)


async def route(roads: RoadsNow, start: Point, end: Point, vehicle: Vehicle) -> RouteAnswer:
    """The soonest way from one point to another."""
    found = await asyncio.to_thread(roads.router.route, start, end, vehicle)
    why = None
    if found is None:
        _, off_m = roads.router.nearest([start, end])
        why = "no-way" if bool((off_m < float("inf")).all()) else "off-road"
    return RouteAnswer(**_state(roads), vehicle=vehicle, route=_route(found) if found else None, why=why)


async def isochrone(roads: RoadsNow, at: Point, vehicle: Vehicle, seconds: float) -> IsochroneOut:
    """What is reached from a point within some seconds."""
    found = await asyncio.to_thread(roads.router.isochrone, at, vehicle, seconds)
    state = _state(roads) | {"vehicle": vehicle, "seconds": seconds}
    if found is None:
        return IsochroneOut(**state, geometry=None, nodes=0, road_km=0)
    return IsochroneOut(**state, geometry=found.outline, nodes=len(found.nodes), road_km=round(found.length_m / 1000, 3))


def _route(found: Route) -> RouteOut:
    return RouteOut(
        travel_s=round(found.travel_s, 1),
        length_m=round(found.length_m, 1),
        geometry={"type": "LineString", "coordinates": _line(found)},
        ends_at={"lon": round(found.ends_at[0], 7), "lat": round(found.ends_at[1], 7)},
        left_m=round(found.left_m, 1),
        enclosed=found.enclosed,
    )


def _line(found: Route) -> list[list[float]]:
    """The line's points; a line has two at least."""
    points: list[list[float]] = found.line.round(7).tolist()
    return points if len(points) > 1 else points * 2


def _state(roads: RoadsNow) -> dict[str, Any]:
    return {"network": roads.router.network.version, "closures": len(roads.closed), "speeds": roads.detectors, "as_of": roads.as_of}
