"""Closures: ways go around them as long as they hold; those of a release follow its outline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.traffic.closures.actions import end_due
from services.traffic.closures.handlers import close_roads, open_roads
from services.traffic.routing.reading import Roads
from services.traffic.routing.reading import Traffic as Held
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event
from tests.shared.roads.grid import at, square
from tests.traffic.conftest import Traffic

NOW = datetime.now(UTC)
ACROSS = square(4.5, -0.5, 5.5, 8.5)
"""Leaves the rows from 9 on free: from (0, 0) to (10, 0) that is 28 steps instead of 10."""


async def seconds(traffic: Traffic, start: tuple[float, float] = at(0, 0), end: tuple[float, float] = at(10, 0)) -> float:
    found: float = (await traffic.way(start, end))["route"]["travel_s"]
    return found


async def test_a_closure_holds_at_once_is_revised_and_ends(traffic: Traffic) -> None:
    assert await seconds(traffic) == 100
    opened = await traffic.call("POST", "/closures", {"reason": "works", "geometry": ACROSS}, status=201)
    assert (opened["revision"], opened["arcs"], opened["area"]) == (1, 54, "430304")
    assert await seconds(traffic) == 280
    smaller = await traffic.call("POST", f"/closures/{opened['id']}", {"geometry": square(4.5, -0.5, 5.5, 0.5), "note": "一侧已通"})
    assert (smaller["revision"], smaller["arcs"], smaller["note"]) == (2, 6, "一侧已通")
    assert await seconds(traffic) == 120
    ended = await traffic.call("POST", f"/closures/{opened['id']}/end")
    assert ended["ended_at"] is not None and await seconds(traffic) == 100
    assert await traffic.call("POST", f"/closures/{opened['id']}/end") == ended
    await traffic.call("POST", f"/closures/{opened['id']}", {"note": "x"}, status=409)
    assert [event["data"]["revision"] for event in traffic.events("traffic.closure.opened.v1")] == [1, 2]
    assert len(traffic.events("traffic.closure.ended.v1")) == 1


async def test_a_planned_closure_begins_and_ends_by_time(traffic: Traffic) -> None:
    roads = traffic.app.state.runtime.own.roads
    begins, ends = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    times = {"begins_at": begins.isoformat(), "ends_at": ends.isoformat()}
    planned = await traffic.call("POST", "/closures", {"reason": "event", "geometry": ACROSS, **times, "regarding": "incidents/A1"}, status=201)
    assert await seconds(traffic) == 100
    held = [len((await roads.now(moment)).closed) for moment in (NOW, begins, ends - timedelta(seconds=1), ends)]
    assert held == [0, 1, 1, 0]
    assert [each["closure"] for each in (await traffic.call("GET", "/network/state"))["closures"]] == [planned["id"]]
    runtime = traffic.app.state.runtime
    for due in (1, 0):
        async with runtime.sessions() as session, session.begin():
            assert await end_due(session, ends, runtime) == due
    shown = await traffic.call("GET", f"/closures/{planned['id']}")
    assert datetime.fromisoformat(shown["ended_at"]) == ends
    [told] = traffic.events("traffic.closure.ended.v1")
    assert told["regarding"] == "incidents/A1"


async def test_a_line_closes_the_road_that_it_follows(traffic: Traffic) -> None:
    line = {"type": "LineString", "coordinates": [at(2, 0.03), at(4, 0.03)]}
    opened = await traffic.call("POST", "/closures", {"reason": "works", "geometry": line}, status=201)
    assert opened["arcs"] == 4
    assert await seconds(traffic) == 120


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"geometry": {"type": "Polygon", "coordinates": [[[113, 27.8], [113.1, 27.8], [113.1, 27.9], [113, 27.81]]]}}, 422),
        ({"geometry": {"type": "Point", "coordinates": [113, 95]}}, 422),
        ({"geometry": {"type": "GeometryCollection", "geometries": []}}, 422),
        ({"geometry": {"type": "LineString", "coordinates": [[113, 27.8]] * 1001}}, 422),
        ({"ends_at": (NOW - timedelta(days=1)).isoformat()}, 422),
        ({"begins_at": "9999-12-31T23:59:59-14:00"}, 422),
        ({"area": "990000"}, 422),
        ({"geometry": {"type": "Point", "coordinates": [20, 20]}}, 422),
        ({"note": "a\u0000b"}, 422),
        ({"geometry": {"type": "Point", "coordinates": [113, 27.8, 1e308]}}, 422),
        ({"geometry": {"type": "Polygon", "coordinates": [[[179, 0], [-179, 0], [-179, 50], [179, 50], [179, 0]]]}}, 422),
    ],
)
async def test_a_closure_that_cannot_be_is_refused(traffic: Traffic, changes: dict[str, Any], status: int) -> None:
    await traffic.call("POST", "/closures", {"reason": "works", "geometry": ACROSS} | changes, status=status)


async def test_who_does_not_cover_the_area_sees_no_closure_and_opens_none(traffic: Traffic) -> None:
    opened = await traffic.call("POST", "/closures", {"reason": "works", "geometry": ACROSS}, status=201)
    elsewhere = traffic.headers(areas=["4301"])
    await traffic.call("GET", f"/closures/{opened['id']}", status=404, headers=elsewhere)
    await traffic.call("POST", f"/closures/{opened['id']}/end", status=404, headers=elsewhere)
    await traffic.call("POST", "/closures", {"reason": "works", "geometry": ACROSS}, status=422, headers=elsewhere)
    assert (await traffic.call("GET", "/network/state", headers=elsewhere))["closures"] == []
    assert (await traffic.call("GET", "/collections/traffic.closures/items", headers=elsewhere))["features"] == []


async def test_a_token_for_some_areas_closes_no_roads_elsewhere_whatever_area_it_states(traffic: Traffic) -> None:
    own = traffic.headers(areas=["430302"])
    stated = {"reason": "works", "geometry": ACROSS, "area": "430302"}
    refused = await traffic.call("POST", "/closures", stated, status=422, headers=own)
    assert refused["pointer"] == "/geometry" and "430304" in refused["detail"]
    mine = await traffic.call("POST", "/closures", stated | {"geometry": {"type": "Point", "coordinates": [113.5, 27.8]}}, status=201, headers=own)
    wider = await traffic.call("POST", f"/closures/{mine['id']}", {"geometry": ACROSS}, status=422, headers=own)
    assert wider["pointer"] == "/geometry" and await seconds(traffic) == 100
    there = await traffic.call("POST", "/closures", {"reason": "works", "geometry": ACROSS}, status=201, headers=traffic.headers(areas=["430304"]))
    assert there["arcs"] == 54


def outline(revision: int, geometry: dict[str, Any], release: str = "R1") -> OutlineComputed:
    return OutlineComputed(
        release=release,
        revision=revision,
        substance="7782-50-5",
        un="1017",
        method="erg-isolation",
        source="made for a test",
        valid=True,
        isolation_m=100,
        protective_m=500,
        wind_from_deg=None,
        wind_speed_m_s=None,
        geometry=geometry,
        computed_at=NOW,
        lon=113.005,
        lat=27.8,
        area="430304",
        regarding=f"releases/{release}",
    )


async def hear(traffic: Traffic, *events: Event) -> None:
    runtime = traffic.app.state.runtime
    for number, event in enumerate(events):
        handler = close_roads if isinstance(event, OutlineComputed) else open_roads
        envelope = CloudEvent(id=f"e{number}", source="430300/env", type=event.type, subject=event.subject, time=NOW, sequence="1", data=event.data())
        async with runtime.sessions() as session, session.begin():
            session.info["runtime"] = runtime
            await handler(envelope, event, session)


async def test_a_release_closes_the_roads_in_its_outline_until_it_is_lifted(traffic: Traffic) -> None:
    await hear(traffic, outline(1, square(4.5, -0.5, 5.5, 0.5)))
    assert await seconds(traffic) == 120
    [shown] = (await traffic.call("GET", "/collections/traffic.closures/items"))["features"]
    assert shown["properties"]["reason"] == "release" and shown["properties"]["regarding"] == "releases/R1"
    await hear(traffic, outline(3, ACROSS), outline(2, square(0, 0, 1, 1)), outline(3, ACROSS))
    assert await seconds(traffic) == 280
    await traffic.call("POST", f"/closures/{shown['id']}/end", status=409)
    lifted = OutlineLifted(release="R1", lifted_at=NOW, area="430304", regarding="releases/R1")
    await hear(traffic, lifted, lifted, outline(4, ACROSS))
    assert await seconds(traffic) == 100
    told = traffic.events("traffic.closure.opened.v1")
    assert [(event["data"]["revision"], event["regarding"]) for event in told] == [(1, "releases/R1"), (2, "releases/R1")]
    [ended] = traffic.events("traffic.closure.ended.v1")
    assert ended["regarding"] == "releases/R1"


async def test_a_process_that_has_just_begun_counts_what_an_outline_closes(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = traffic.app.state.runtime
    monkeypatch.setattr(runtime, "own", Held(runtime.own.directory, Roads(runtime)))
    await hear(traffic, outline(1, square(4.5, -0.5, 5.5, 0.5)))
    assert (await traffic.call("GET", "/closures/release-R1"))["arcs"] == 6


async def test_an_outline_that_was_lifted_before_it_came_closes_nothing(traffic: Traffic) -> None:
    lifted = OutlineLifted(release="R2", lifted_at=NOW, area="430304", regarding="releases/R2")
    await hear(traffic, lifted, outline(1, ACROSS, "R2"))
    assert await seconds(traffic) == 100
    assert traffic.events("traffic.closure.opened.v1") == traffic.events("traffic.closure.ended.v1") == []
    await traffic.call("GET", "/closures/release-R2", status=404)


async def test_ways_to_a_release_end_at_the_edge_of_what_is_avoided(traffic: Traffic) -> None:
    origin = {"id": "E1", "lon": at(0, 5)[0], "lat": at(0, 5)[1]}
    asked = {"origins": [origin], "destination": {"lon": at(5, 5)[0], "lat": at(5, 5)[1]}, "avoid": square(3.5, 3.5, 6.5, 6.5), "routes": 1}
    found = (await traffic.call("POST", "/travel-times", asked))["routes"]["E1"]
    assert found["enclosed"] and found["length_m"] == 300
    assert (found["ends_at"]["lon"], found["ends_at"]["lat"]) == pytest.approx(at(3, 5))
    assert found["left_m"] == pytest.approx(196.7, abs=1)
