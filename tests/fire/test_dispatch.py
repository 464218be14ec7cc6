"""Who is sent: the right units soonest, nobody twice, with traffic, by the copy, by the straight line, and after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.fire.dispatch.actions import reserve
from shared.roads import make_network, to_bytes
from tests.city import City
from tests.fire.conftest import call
from tests.fire.neighbours import SITE, Dispatching, Neighbours, dispatching, outline, release

FLEET = (
    ("E1", "engine", 0.02, ""),
    ("E2", "engine", -0.03, "hazmat"),
    ("E3", "engine", 0.04, "hazmat"),
    ("E4", "engine", 0.05, ""),
    ("M1", "medic", 0.03, "als"),
    ("M2", "medic", 0.06, "als"),
    ("L1", "ladder", 0.01, ""),
)


@pytest.fixture
async def fire(city: City) -> AsyncIterator[Dispatching]:
    async with dispatching(city) as found:
        await found.units(*FLEET)
        yield found


async def test_a_release_sends_the_soonest_units_of_the_kinds_that_it_needs_around_the_outline(fire: Dispatching):
    await fire.hear(release("R1"), outline("R1"))
    (message,) = await fire.until(1)
    found = await fire.incident(message["incident"])
    assert {unit["unit"] for unit in found["units"]} == {"E1", "E2", "E3", "M1"}, "E2 is the soonest with the capability, two engines besides"
    assert (found["state"], found["release"], found["short"]) == ("dispatched", "R1", False)
    assert {unit["travel_times"] for unit in found["units"]} == {"traffic"}
    assert all(asked["avoid"]["type"] == "Polygon" for asked in fire.neighbours.asked)
    assert {each["vehicle"] for asked in fire.neighbours.asked for each in asked["origins"]} == {"fire_engine", "ambulance"}
    said = await fire.said(message["incident"])
    assert (said["missing"], said["content"]["gather_at"]["lon"] > SITE[0] + 0.005) == ([], True), "upwind of an east wind is east, outside the outline"
    assert {unit["unit"]: unit["stop_at"] is not None for unit in said["content"]["units"]} == dict.fromkeys(("E1", "E2", "E3", "M1"), True)
    kinds = [row["envelope"] for row in fire.city.sql(fire.settings, "SELECT envelope->>'type' AS envelope FROM outbox ORDER BY position")]
    assert kinds == ["fire.incident.opened.v1", "fire.units.dispatched.v1", "fire.crews.informed.v1"]
    assert {row["r"] for row in fire.city.sql(fire.settings, "SELECT envelope->>'regarding' AS r FROM outbox")} == {"releases/R1"}


async def test_an_outline_that_comes_later_is_the_next_revision_and_the_same_again_none(fire: Dispatching):
    await fire.hear(release("R1"))
    (first,) = await fire.until(1)
    assert (first["missing"], first["content"]["texts"]["en"][-1][:10]) == (["outline"], "No outline")
    await fire.hear(outline("R1"))
    _, second = await fire.until(2)
    assert (second["revision"], second["missing"], second["units"]) == (2, [], first["units"])
    await fire.hear(outline("R1"), release("R1"))
    await fire.hear(outline("R1", 2, half=0.006), release("R1", 2, rate_kg_s=2.0))
    assert len(await fire.until(3)) == 3, "two changes in one transaction are one revision"


async def test_two_incidents_never_get_the_same_unit(fire: Dispatching):
    await asyncio.gather(*(fire.hear(release(f"R{number}", lat=SITE[1] + number / 50)) for number in range(3)))
    await fire.until(3)
    sent = fire.city.sql(fire.settings, "SELECT unit FROM assignments WHERE released_at IS NULL")
    assert sorted(row["unit"] for row in sent) == ["E1", "E2", "E3", "E4", "M1", "M2"], "each once, and the ladder is not needed"
    assert {row["state"] for row in fire.city.sql(fire.settings, "SELECT state FROM unit_status WHERE unit <> 'L1'")} == {"dispatched"}
    short = [message["content"]["short"] for message in fire.messages()]
    assert sum(bool(each) for each in short) >= 2


async def test_units_that_are_being_reserved_are_waited_for_and_then_left_out(fire: Dispatching):
    async with fire.runtime.sessions() as first, first.begin():
        assert await reserve(first, ["E1", "E2"]) == {"E1", "E2"}

        async def second() -> set[str]:
            async with fire.runtime.sessions() as session, session.begin():
                return await reserve(session, ["E2", "E1", "E3"])

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        from sqlalchemy import text

        await first.execute(text("UPDATE unit_status SET state = 'dispatched' WHERE unit IN ('E1', 'E2')"))
    assert await waiting == {"E3"}


async def test_a_unit_that_becomes_free_is_sent_where_units_were_short(fire: Dispatching):
    await fire.hear(release("R1"), outline("R1"))
    await fire.until(1)
    await fire.hear(release("R2", lat=SITE[1] + 0.05), outline("R2"))
    *_, second = await fire.until(2)
    assert second["units"] == ["E4", "M2"]
    assert (await fire.incident(second["incident"]))["short"]
    from datetime import UTC, datetime

    await fire.state("E3", "available_on_radio", datetime.now(UTC))
    *_, third = await fire.until(3)
    assert (third["incident"], third["units"]) == (second["incident"], ["E3", "E4", "M2"])


async def test_without_traffic_the_last_copy_of_the_network_answers_and_says_so(city: City):
    """A street of three nodes east of the site, and a long way round; the outline covers the street."""
    lon = [SITE[0] + each for each in (0.0, 0.01, 0.03, 0.03, 0.0)]
    lat = [SITE[1] + each for each in (0.02, 0.02, 0.02, 0.04, 0.04)]
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]
    tail, head = [a for a, b in pairs] + [b for a, b in pairs], [b for a, b in pairs] + [a for a, b in pairs]
    length = [1000.0, 2000.0, 2200.0, 3000.0, 2200.0] * 2
    seconds = [each / 15 for each in length]
    network, _ = make_network(node_ids=range(5), lon=lon, lat=lat, tail=tail, head=head, length_m=length, car_s=seconds, siren_s=seconds)
    async with dispatching(city, Neighbours(network=to_bytes(network))) as fire:
        await fire.units(("E1", "engine", 0.03, ""))
        fire.city.sql(fire.settings, "UPDATE stations SET lat = $1", SITE[1] + 0.02)
        fire.runtime.own.roads.wanted.set()
        async with asyncio.timeout(30):
            while fire.runtime.own.roads.version is None:
                await asyncio.sleep(0.01)
        fire.neighbours.traffic = False
        place: dict[str, Any] = {"lon": SITE[0], "lat": SITE[1] + 0.02}
        await fire.hear(release("R1", **place))
        (first,) = await fire.until(1)
        straight = first["content"]["units"][0]
        assert (first["content"]["travel_times"], straight["travel_s"]) == ("copy", pytest.approx(3000 / 15 * 1.1, rel=0.01))
        around: dict[str, Any] = {"geometry": {"type": "Polygon", "coordinates": [_box(0.005, 0.02, 0.004)]}, "wind_from_deg": None, **place}
        await fire.hear(outline("R1", **around))
        _, second = await fire.until(2)
        assert second["content"]["units"][0]["travel_s"] == pytest.approx(7400 / 15 * 1.1, rel=0.01), "never through the outline"
        assert "copy of the network" in " ".join(second["content"]["texts"]["en"])


def _box(east: float, north: float, half: float) -> list[list[float]]:
    x, y = SITE[0] + east, SITE[1] + north
    return [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half], [x - half, y - half]]


async def test_without_any_network_units_are_sent_by_the_straight_line_and_without_hub_the_card_is_missing(city: City):
    async with dispatching(city, Neighbours(traffic=False, card=None)) as fire:
        await fire.units(*FLEET)
        await fire.hear(release("R1"), outline("R1"))
        (message,) = await fire.until(1)
        assert (message["missing"], message["content"]["travel_times"]) == (["card", "routes"], "distance")
        assert message["units"] == ["E1", "E2", "E3", "M1"]
        fire.neighbours.traffic, fire.neighbours.card = True, {"sites": []}
        _, later = await fire.until(2)
        assert (later["missing"], later["units"], later["content"]["travel_times"]) == ([], message["units"], "traffic")


async def test_work_of_a_process_that_died_is_found_again_and_done_once(city: City):
    async with dispatching(city) as fire:
        await fire.units(*FLEET)
        dispatcher = fire.runtime.own.dispatcher
        dispatcher.begin = lambda *_, **__: None  # it dies right after the commit
        await fire.hear(release("R1"), outline("R1"))
        assert fire.messages() == []
        dispatcher.name = "another process"
        fire.city.sql(fire.settings, "UPDATE incident_work SET claimed_until = now()")
        (message,) = await fire.until(1)
        assert message["units"] == ["E1", "E2", "E3", "M1"]
        assert len(fire.city.sql(fire.settings, "SELECT 1 FROM assignments")) == 4


async def test_whoever_lost_its_claim_changes_nothing(city: City):
    neighbours = Neighbours(slow_s=0.2)
    async with dispatching(city, neighbours) as fire:
        await fire.units(*FLEET)
        await fire.hear(release("R1"), outline("R1"))
        async with asyncio.timeout(5):
            while not neighbours.asked:
                await asyncio.sleep(0.01)
        fire.city.sql(fire.settings, "UPDATE incident_work SET claimed_by = 'another', claimed_until = now() + interval '1 minute'")
        await asyncio.sleep(0.5)
        assert fire.messages() == []
        assert fire.city.sql(fire.settings, "SELECT 1 FROM assignments") == []


async def test_a_closure_on_the_way_brings_another_route_and_one_beside_it_nothing(fire: Dispatching):
    from datetime import UTC, datetime

    from shared.events.traffic import ClosureEnded, ClosureOpened

    await fire.hear(release("R1"), outline("R1"))
    await fire.until(1)
    times = {"begins_at": datetime.now(UTC), "ends_at": None, "arcs": 2, "network": "n1", "reason": "works"}
    fire.neighbours.detour = 0.001
    beside = {"type": "LineString", "coordinates": [[113.5, 27.5], [113.6, 27.5]]}
    await fire.hear(ClosureOpened(closure="C1", revision=1, geometry=beside, **times))
    across = {"type": "LineString", "coordinates": [[SITE[0] + 0.015, SITE[1] - 0.01], [SITE[0] + 0.015, SITE[1] + 0.01]]}
    await fire.hear(ClosureEnded(closure="C3", ended_at=datetime.now(UTC)), ClosureOpened(closure="C2", revision=1, geometry=across, **times))
    _, second = await fire.until(2)
    assert second["content"]["units"][0]["route"]["geometry"] != fire.messages()[0]["content"]["units"][0]["route"]["geometry"]


async def test_an_officer_sends_units_to_a_call_and_again_nobody_goes_twice(fire: Dispatching):
    answer = await fire.client.post("/calls", json=call(kind="alarm", lon=SITE[0], lat=SITE[1], crs="wgs84"), headers=fire.headers())
    assert answer.status_code == 201, answer.text
    (row,) = fire.rows("incidents")
    path = f"/incidents/{row['id']}/dispatch"
    for body in ({}, {}, {"needs": [{"unit_kinds": ["engine"], "count": 2}]}):
        asked = await fire.client.post(path, json=body, headers=fire.headers())
        assert asked.status_code == 202, asked.text
        await fire.until(2 if body else 1)
    assert sorted(unit["unit"] for unit in (await fire.incident(row["id"]))["units"]) == ["E1", "E2", "L1"]
    changsha = fire.headers(areas=["4301"])
    assert (await fire.client.post(path, json={}, headers=changsha)).status_code == 404
    assert (await fire.client.get("/incidents/x", headers=fire.headers())).status_code == 404


async def test_the_citys_own_plan_takes_the_place_of_ours(fire: Dispatching):
    path, plan = "/response-plan/alarm", {"needs": [{"unit_kinds": ["ladder"], "count": 1}], "source": "支队调度方案 2026"}
    assert (await fire.client.put(path, json=plan, headers=fire.headers(areas=["4303"]))).status_code == 403
    assert (await fire.client.put(path, json=plan, headers=fire.headers())).json()["source"] == "支队调度方案 2026"
    listed = {each["incident_kind"]: each for each in (await fire.client.get("/response-plan", headers=fire.headers())).json()}
    assert (listed["alarm"]["needs"][0]["unit_kinds"], listed["medical"]["source"][:7]) == (["ladder"], "Liandon")
    await fire.client.post("/calls", json=call(kind="alarm", lon=SITE[0], lat=SITE[1], crs="wgs84"), headers=fire.headers())
    (row,) = fire.rows("incidents")
    await fire.client.post(f"/incidents/{row['id']}/dispatch", json={}, headers=fire.headers())
    (message,) = await fire.until(1)
    assert message["units"] == ["L1"]
