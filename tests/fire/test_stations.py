"""Stations, units and hydrants: loaded, followed as they move and report, found near a point."""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.load.engine import Load
from ops.load.mapping import read_mapping
from ops.load.sending import Sender
from ops.load.tally import Report
from services.fire.app import service
from services.fire.stations.domain import STATES, distance_m, later, moments
from services.fire.stations.domain import Report as Said
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.fire.conftest import AREAS, NOW, Fire, counts, reasons
from tests.services import Served, served

POINT = {"lon": 112.95, "lat": 27.85, "crs": "wgs84", "area": "430304"}


@pytest.fixture(scope="module")
async def fire(city: City) -> AsyncIterator[Fire]:
    settings = city.settings("fire")
    city.sql(settings, AREAS)
    async with running(create_app(service, settings)) as client:
        yield Fire(client, city, settings)


async def put(fire: Fire, path: str, *rows: dict[str, Any], headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
    answer = await fire.client.put(path, json=list(rows), params=query, headers=headers or fire.headers())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def a_unit(fire: Fire, code: str, **values: Any) -> None:
    await put(fire, "/stations", {"code": f"ST-{code}", **POINT})
    await put(fire, "/units", {"code": code, "kind": "engine", "station": f"ST-{code}"} | values)


def at(seconds: float) -> str:
    return (NOW - timedelta(hours=2) + timedelta(seconds=seconds)).isoformat()


def test_the_first_report_of_each_state_is_a_moment_of_the_response_whatever_the_order():
    said = [Said(NOW + timedelta(seconds=each), state) for each, state in ((60, "en_route"), (200, "on_scene"), (210, "on_scene"), (900, "returning"))]
    said.append(Said(NOW + timedelta(seconds=1500), "in_quarters"))
    random.Random(1).shuffle(said)
    found = {name: (moment - NOW).total_seconds() for name, moment in moments(said).items()}
    assert found == {"en_route_at": 60, "on_scene_at": 200, "available_at": 900}


def test_of_two_states_at_one_moment_the_one_that_follows_the_other_holds():
    assert later(Said(NOW, "returning"), Said(NOW, "on_scene")).state == "returning"
    assert STATES.index("dispatched") < STATES.index("en_route") < STATES.index("on_scene")


def test_a_degree_of_latitude_is_a_hundred_and_eleven_kilometres():
    assert distance_m(0, 0, 0, 1) == pytest.approx(111_195, abs=1)
    assert distance_m(0, 60, 1, 60) == pytest.approx(55_597, abs=10)


async def test_a_unit_belongs_to_a_known_station_or_states_its_area(fire: Fire):
    await put(fire, "/stations", {"code": "A1", **POINT})
    good = {"code": "A1-1", "kind": "engine", "station": "A1", "capabilities": "hazmat,foam"}
    found = await put(
        fire,
        "/units",
        good,
        {"code": "A1-2", "kind": "engine", "station": "NO"},
        {"code": "A1-3", "kind": "medic"},
        {"code": "A1-4", "kind": "medic", "area": "4301"},
    )
    assert (counts(found), reasons(found)) == ((2, 0, 0, 2), {1: "unknown-station", 2: "unknown-place"})
    shown = (await fire.client.get("/units/A1-1", headers=fire.headers())).json()
    assert (shown["state"], shown["capabilities"], shown["area"], shown["lon"]) == ("in_quarters", ["foam", "hazmat"], "430304", None)
    assert (await fire.client.get("/units/A1-1", headers=fire.headers(areas=["4301"]))).status_code == 404
    assert counts(await put(fire, "/units", good)) == (0, 0, 1, 0)
    assert reasons(await put(fire, "/units", good | {"kind": "ladder"})) == {0: "conflict"}


async def test_reports_of_a_state_may_come_twice_and_in_any_order(fire: Fire):
    await a_unit(fire, "B1")
    said = [(10, "en_route"), (200, "on_scene"), (900, "returning"), (10, "en_route"), (1500, "in_quarters")]
    random.Random(2).shuffle(said)
    for seconds, state in said:
        answer = await fire.client.post("/units/B1/state", json={"state": state, "at": at(seconds)}, headers=fire.headers())
        assert answer.status_code == 200, answer.text
    states = (await fire.client.get("/units/B1/states", headers=fire.headers())).json()
    assert [each["state"] for each in states] == ["in_quarters", "returning", "on_scene", "en_route"]
    future = (NOW + timedelta(hours=1)).isoformat()
    assert (await fire.client.post("/units/B1/state", json={"state": "on_scene", "at": future}, headers=fire.headers())).status_code == 422
    elsewhere = fire.headers(areas=["4301"])
    assert (await fire.client.post("/units/B1/state", json={"state": "on_scene", "at": at(0)}, headers=elsewhere)).status_code == 404


async def test_the_newest_position_of_a_unit_stays_however_positions_come(fire: Fire):
    for code in ("C1", "C2"):
        await a_unit(fire, code)
    place = {"lon": 112.9, "lat": 27.8}
    found = await put(
        fire,
        "/units/positions",
        {"unit": "C1", "at": at(10), **place},
        {"unit": "C1", "at": at(20), **place, "lon": 112.91},
        {"unit": "C2", "at": at(5), **place},
        {"unit": "NO", "at": at(5), **place},
        {"unit": "C2", "at": at(5), "lon": 200, "lat": 0},
    )
    assert (counts(found), reasons(found)) == ((2, 0, 1, 2), {3: "unknown-unit", 4: "less-than-equal"})
    assert counts(await put(fire, "/units/positions", {"unit": "C1", "at": at(15), **place})) == (0, 0, 1, 0)
    shown = (await fire.client.get("/units/C1", headers=fire.headers())).json()
    assert (shown["lon"], shown["lat"]) == (112.91, 27.8)
    hidden = await put(fire, "/units/positions", {"unit": "C1", "at": at(30), **place}, headers=fire.headers(areas=["4301"]))
    assert reasons(hidden) == {0: "unknown-unit"}


async def test_thousands_of_positions_are_one_statement_and_concurrent_batches_never_deadlock(fire: Fire):
    from sqlalchemy import event

    units = [{"code": f"D{number}", "kind": "engine", "area": "430304"} for number in range(1000)]
    await put(fire, "/units", *units)
    asked: list[str] = []
    runtime = fire.client._transport.app.state.runtime  # type: ignore[attr-defined]
    event.listen(runtime.engine.sync_engine, "before_cursor_execute", lambda *of: asked.append(of[2]))

    async def batch(seconds: int) -> dict[str, Any]:
        rows = [{"unit": unit["code"], "lon": 112.9, "lat": 27.8, "at": at(seconds)} for unit in units]
        random.Random(seconds).shuffle(rows)
        return await put(fire, "/units/positions", *rows)

    found = await asyncio.gather(*(batch(seconds) for seconds in range(4)))
    assert sum("unit_positions" in each for each in asked) == 4
    assert all(each["taken"] + each["duplicates"] == 1000 for each in found)
    newest = fire.city.sql(fire.settings, "SELECT DISTINCT at FROM unit_positions WHERE unit LIKE 'D%'")
    assert [row["at"].isoformat() for row in newest] == [at(3)]


async def test_hydrants_in_service_are_found_nearest_first(fire: Fire):
    rows = [{"code": f"H{number}", **POINT, "lon": 112.95 + number / 1000, "flow_l_s": 15} for number in range(8)]
    rows.append({"code": "H-dry", **POINT, "in_service": False})
    found = await put(fire, "/hydrants", *rows, {"code": "H-lost", "area": "430304"})
    assert (counts(found), reasons(found)) == ((9, 0, 0, 1), {9: "no-point"})
    near = await fire.client.get("/hydrants", params={"lon": 112.95, "lat": 27.85, "within_m": 350}, headers=fire.headers())
    assert [(each["code"], round(each["distance_m"])) for each in near.json()] == [("H0", 0), ("H1", 98), ("H2", 197), ("H3", 295)]
    assert (await fire.client.get("/hydrants", params={"lon": 112.95, "lat": 27.85}, headers=fire.headers(areas=["4301"]))).json() == []


async def test_datasets_show_units_with_their_state_and_past_moments_without_position(fire: Fire):
    await a_unit(fire, "F1")
    await put(fire, "/units/positions", {"unit": "F1", "at": at(10), "lon": 112.9, "lat": 27.8})
    before = (await fire.client.get("/collections/fire.units/items/F1", headers=fire.headers())).json()
    assert (before["properties"]["state"], before["geometry"]["coordinates"]) == ("in_quarters", [112.9, 27.8])
    from datetime import UTC, datetime

    moment = datetime.now(UTC).isoformat()
    await fire.client.post("/units/F1/state", json={"state": "out_of_service", "at": datetime.now(UTC).isoformat()}, headers=fire.headers())
    path = "/collections/fire.units/items/F1"
    assert (await fire.client.get(path, headers=fire.headers())).json()["properties"]["state"] == "out_of_service"
    past = (await fire.client.get(path, params={"known_at": moment}, headers=fire.headers())).json()
    assert (past["properties"]["state"], past["geometry"]) == ("in_quarters", None)
    for name in ("stations", "hydrants", "incidents"):
        assert (await fire.client.get(f"/collections/fire.{name}/items", headers=fire.headers())).status_code == 200


@pytest.fixture
async def two(city: City, tmp_path: Path) -> AsyncIterator[Served]:
    async with served(city, tmp_path, ["hub", "fire"]) as found:
        yield found


async def load(city: Served, mapping: str, path: Path) -> Report:
    run = {"city": city.code, "services": {name: {"url": city.url(name)} for name in city.clients}, "clients": city.accounts}
    made = read_mapping(mapping)
    return await asyncio.to_thread(Load(made, Sender(run, made.target.service)).run, [path])


async def test_the_real_files_load_with_every_row_accounted_for(two: Served, shared_data: Path):
    facilities, places = shared_data / "fire" / "ems_stations_hospitals_manhattan_edmonton.csv", shared_data / "fire" / "helsinki_poi_osm.csv"
    areas = await load(two, "world-cities", facilities)
    assert (areas.stopped, areas.total.counts["rejected"]) == (None, 0)
    for mapping, path, taken in (("ems-facilities", facilities, 40), ("helsinki-hydrants", places, 37)):
        with path.open(encoding="utf-8", newline="") as file:
            lines = sum(1 for _ in csv.DictReader(file))
        first, again = await load(two, mapping, path), await load(two, mapping, path)
        tally = first.files[0]
        assert (first.stopped, tally.lines, tally.rows, tally.unsent) == (None, lines, lines, 0)
        assert tally.counts == {"taken": taken, "corrected": 0, "duplicates": 0, "rejected": lines - taken}
        assert again.files[0].counts == {"taken": 0, "corrected": 0, "duplicates": taken, "rejected": lines - taken}
    assert [(code, reason.rows) for _, code, reason in first.files[0].by_rows] == [("unknown-value", 579)]
    noted = await two.get("fire", "/collections/fire.stations/items", scope="fire:read", filter="status <> 'in_service'", limit=10)
    assert sorted(each["properties"]["code"] for each in noted["features"]) == ["manhattan-station-4", "manhattan-station-7", "manhattan-station-8"]
    near = await two.get("fire", "/hydrants", scope="fire:read", lon=24.95, lat=60.1755, within_m=100)
    assert near[0]["code"] == "osm-node-612037371"
