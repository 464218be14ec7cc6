"""The chlorine leak crosses the services by itself: outline, closed roads, dispatched units, the crews' message, an incident; and is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from shapely.geometry import LineString, Point, shape

from tests.city import City
from tests.leak.leaking_city import LAT, LON, leak, leaking_city
from tests.services import Served, until

WITHIN_S = 60.0
CHAIN = {
    "worksafety.release.reported.v1",
    "env.outline.computed.v1",
    "traffic.closure.opened.v1",
    "fire.incident.opened.v1",
    "fire.units.dispatched.v1",
    "fire.crews.informed.v1",
    "hub.incident.opened.v1",
}


@pytest.fixture(scope="module")
async def leaking(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with leaking_city(city, tmp_path_factory.mktemp("leaking")) as found:
        yield found


async def events_of(city: Served, release: str, *, wanted: set[str]) -> list[dict[str, Any]]:
    """The events that belong to a release, as the hub's log has them, once all wanted types are there."""
    end = asyncio.get_running_loop().time() + WITHIN_S
    while True:
        found = await city.get("hub", "/events", "hub:events", after=0, limit=1000)
        own = [
            event
            for event in (entry["event"] for entry in found["events"])
            if event.get("regarding") == f"releases/{release}" or event["data"].get("about") == f"releases/{release}"
        ]
        if wanted <= {event["type"] for event in own}:
            return own
        missing = wanted - {event["type"] for event in own}
        assert asyncio.get_running_loop().time() < end, f"no {', '.join(sorted(missing))} within {WITHIN_S:g} s"
        await asyncio.sleep(0.05)


def of_type(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The last event of a type."""
    return [event for event in events if event["type"] == kind][-1]


async def message_of(city: Served, events: list[dict[str, Any]], missing: list[str]) -> dict[str, Any]:
    """The message to the crews once no more than this is missing; on a slow machine the outline may come in a second revision."""
    incident = of_type(events, "fire.crews.informed.v1")["data"]["incident"]
    end = asyncio.get_running_loop().time() + WITHIN_S
    while True:
        found: dict[str, Any] = await city.get("fire", f"/incidents/{incident}/crews-message", "fire:read")
        if found["missing"] == missing:
            return found
        assert asyncio.get_running_loop().time() < end, found["content"]["missing"]
        await asyncio.sleep(0.05)


async def test_every_sector_that_must_act_does_so_by_itself(leaking: Served) -> None:
    release = await leak(leaking)
    events = await events_of(leaking, release, wanted=CHAIN)
    outline = of_type(events, "env.outline.computed.v1")["data"]
    assert outline["method"] == "erg-isolation", "a Gaussian plume is not valid for a dense gas"
    endangered = shape(outline["geometry"])
    assert endangered.covers(Point(LON, LAT))
    assert outline["wind_from_deg"] == 270
    assert endangered.centroid.x > LON, "downwind of a wind from the west lies east"

    closure = of_type(events, "traffic.closure.opened.v1")["data"]
    assert closure["arcs"] > 0
    assert shape(closure["geometry"]).equals_exact(endangered, 1e-9)

    told = (await message_of(leaking, events, missing=[]))["content"]
    substances = [substance for site in told["card"]["sites"] for substance in site["substances"]]
    assert [(each["cas"], each["q_now"], each["q_design"]) for each in substances] == [("7782-50-5", 38, 50)], "the crews know what is stored, and how much"
    assert told["units"]
    for unit in told["units"]:
        line = LineString(unit["route"]["geometry"]["coordinates"])
        assert line.intersection(endangered).length == pytest.approx(0, abs=1e-9), f"{unit['unit']} is led through the outline"

    opened = of_type(events, "hub.incident.opened.v1")
    incident = await leaking.get("hub", f"/incidents/{opened['data']['incident']}")
    assert incident["grade"] is not None
    timeline = await leaking.get("hub", f"/incidents/{opened['data']['incident']}/timeline")
    assert CHAIN - {"hub.incident.opened.v1"} <= {entry["event"]["type"] for entry in timeline["items"] if entry.get("event")}


async def test_the_on_site_card_comes_back_with_the_outline(leaking: Served) -> None:
    release = await leak(leaking, rate_kg_s=1.2)
    await events_of(leaking, release, wanted={"env.outline.computed.v1"})
    end = asyncio.get_running_loop().time() + WITHIN_S
    while True:
        found = await leaking.get("hub", "/lookups/worksafety.on-site-card", lon=LON, lat=LAT, radius_m=300)
        open_releases = {each["release"]: each for each in found["answer"]["releases"]}
        if open_releases.get(release, {}).get("outline"):
            break
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.05)
    assert found["coverage"]["complete"] is True
    assert found["answer"]["sites"][0]["units"][0]["grade"] == 2, "50 t of chlorine: R = 2.0 * 4 * 50 / 5 = 80"


async def test_when_it_is_over_the_roads_open_again(leaking: Served) -> None:
    release = await leak(leaking)
    await events_of(leaking, release, wanted={"traffic.closure.opened.v1"})
    await leaking.send("POST", "worksafety", f"/releases/{release}/conclude", {})
    events = await events_of(leaking, release, wanted={"worksafety.release.concluded.v1", "env.outline.lifted.v1", "traffic.closure.ended.v1"})
    closure = of_type(events, "traffic.closure.ended.v1")["data"]["closure"]
    state = await leaking.get("traffic", "/network/state", "traffic:read")
    assert closure not in {each["closure"] for each in state["closures"]}


async def test_without_traffic_and_env_the_crews_go_by_the_copy_and_are_told_what_is_missing(leaking: Served) -> None:
    """The last one: it ends two of the services."""
    fire = leaking.apps["fire"].state.runtime
    await until(lambda: fire.own.roads.version is not None, "fire has no copy of the roads")
    for name in ("traffic", "env"):
        await leaking.stop(name)
    release = await leak(leaking)
    events = await events_of(leaking, release, wanted={"fire.crews.informed.v1"})
    assert of_type(events, "fire.units.dispatched.v1")["data"]["travel_times"] == "copy"
    await message_of(leaking, events, missing=["outline"])
