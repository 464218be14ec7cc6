"""Detectors and incidents: what is measured changes the ways of cars, what is reported becomes an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.shared.roads.grid import at
from tests.traffic.conftest import Traffic

NOW = datetime.now(UTC).replace(microsecond=0)


def place(x: float, y: float) -> dict[str, Any]:
    return {"lon": at(x, y)[0], "lat": at(x, y)[1], "crs": "wgs84"}


def crash(number: str, when: datetime = NOW, **others: Any) -> dict[str, Any]:
    return {"number": number, "kind": "crash", "severity": "minor", "occurred_at": when.isoformat(), **place(5, 5), **others}


async def test_a_speed_measured_now_slows_cars_until_it_is_too_old(traffic: Traffic) -> None:
    assert (await traffic.call("PUT", "/detectors", [{"code": "D1", **place(5.5, 0)}]))["taken"] == 1
    assert (await traffic.call("PUT", "/series", [{"detector": "D1", "property": "speed", "timing": "begin", "interval_s": 300}]))["taken"] == 1

    async def measure(minutes: int, value: float) -> tuple[float, float]:
        row = {"detector": "D1", "property": "speed", "time": (NOW - timedelta(minutes=minutes)).isoformat(), "value": value}
        assert (await traffic.call("POST", "/observations", [row]))["taken"] == 1
        by = [(await traffic.way(at(0, 0), at(10, 0), vehicle))["route"]["travel_s"] for vehicle in ("car", "ambulance")]
        return by[0], by[1]

    assert await measure(40, 5) == (100, 75)
    slowed = await measure(2, 6)
    assert slowed[0] > 105 and slowed[1] == 75
    assert await measure(1, 36) == (100, 75)
    features = (await traffic.call("GET", "/collections/traffic.observations/items"))["features"]
    assert [each["properties"]["value"] for each in features] == [5, 6, 36]


async def test_what_happens_on_a_road_becomes_an_event_unless_it_is_old(traffic: Traffic) -> None:
    shown = await traffic.call("POST", "/incidents", crash("1"), status=201)
    assert (shown["id"], shown["area"]) == ("430300:1", "430304")
    assert await traffic.call("POST", "/incidents", crash("1"), status=201) == shown
    refused = await traffic.call("POST", "/incidents", crash("1", severity="fatal"), status=409)
    assert refused["detail"].endswith("already recorded with another severity. If that was wrong, correct it by PUT /incidents?correct=true.")
    corrected = await traffic.call("PUT", "/incidents", [crash("1", severity="fatal")], correct="true")
    assert corrected["corrected"] == 1, corrected
    assert (await traffic.call("PUT", "/incidents", [crash("1")], correct="true"))["corrected"] == 1
    loaded = await traffic.call("PUT", "/incidents", [crash("1"), crash("2", NOW - timedelta(days=9)), crash("3", NOW + timedelta(days=1))])
    assert {name: loaded[name] for name in ("taken", "duplicates", "rejected")} == {"taken": 1, "duplicates": 1, "rejected": 1}
    [told] = traffic.events("traffic.incident.reported.v1")
    assert told["data"]["incident"] == "430300:1"
    await traffic.call("GET", "/incidents/430300:1", status=404, headers=traffic.headers(areas=["4301"]))


async def test_every_dataset_answers_and_says_which_network_was_in_force(traffic: Traffic) -> None:
    for dataset in ("roads", "networks", "detectors", "adjacency", "observations", "incidents", "closures"):
        where: Any = {} if dataset in ("networks", "adjacency") else {"bbox": "112,27,114,28"}
        await traffic.call("GET", f"/collections/traffic.{dataset}/items", limit=2, **where)
    [network] = (await traffic.call("GET", "/collections/traffic.networks/items"))["features"]
    assert network["properties"]["version"] == (await traffic.call("GET", "/network/state"))["version"]
    before = await traffic.call("GET", "/collections/traffic.networks/items", known_at=(NOW - timedelta(days=1)).isoformat())
    assert before["features"] == []
    arcs = await traffic.call("GET", "/collections/traffic.roads/items", bbox="113.0005,27.7995,113.0006,27.8005")
    assert {each["id"] for each in arcs["features"]} == {"0-1", "1-0"}
