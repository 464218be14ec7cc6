"""The message to the crews: its words, its revisions, who may see what, its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, shape

from services.fire.calls.domain import KINDS
from services.fire.crews.domain import KINDS_ZH, digest, for_terminal, quarter, texts
from services.fire.dispatch.domain import Candidate, Need, choose, meets, moved, outstanding, staging
from services.fire.stations.domain import distance_m
from shared.events.env import OutlineLifted
from shared.events.worksafety import ReleaseConcluded
from tests.city import City
from tests.fire.neighbours import SITE, Dispatching, dispatching, outline, release, square

kinds = st.sampled_from(("engine", "ladder", "medic"))
needs = st.lists(st.builds(Need, st.tuples(kinds), st.integers(1, 3), st.none() | st.just("hazmat")), max_size=4)
fleet = st.lists(
    st.builds(Candidate, st.integers(0, 99).map(str), kinds, st.sampled_from((frozenset(), frozenset({"hazmat"}))), travel_s=st.none() | st.floats(0, 3600)),
    max_size=12,
    unique_by=lambda one: one.unit,
)


@given(needs, fleet)
def test_nobody_is_chosen_twice_or_for_nothing_and_nobody_left_behind_would_have_been_sooner(wanted: list[Need], units: list[Candidate]):
    going = choose(wanted, units)
    assert len({one.unit for one in going}) == len(going) <= sum(need.count for need in wanted)
    assert all(one.travel_s is not None and any(meets(need, one) for need in wanted) for one in going)
    behind = [one for one in units if one not in going and one.travel_s is not None]
    assert not choose(outstanding(wanted, going), behind), "no need stays open that somebody could meet"
    if len(wanted) == 1 and going:
        assert all(one.travel_s >= max(each.travel_s for each in going) for one in behind if meets(wanted[0], one))  # type: ignore[operator, type-var]


@given(st.floats(0, 360), st.floats(10, 1500), st.floats(0.001, 0.02))
def test_crews_gather_upwind_outside_the_outline_and_beyond_the_isolation_distance(wind: float, isolation_m: float, half: float):
    endangered = shape(square(*SITE, half))
    place = staging(*SITE, wind, isolation_m, lambda lon, lat: endangered.covers(Point(lon, lat)))
    assert place is not None
    apart = distance_m(*SITE, *place)
    assert not endangered.covers(Point(place))
    assert apart > isolation_m
    assert moved(*SITE, wind, apart) == pytest.approx(place, abs=1e-6)
    assert staging(*SITE, None, isolation_m, lambda *_: False) is None


def test_every_kind_of_call_has_a_name_in_chinese_and_winds_their_quarter():
    assert set(KINDS_ZH) == set(KINDS)
    assert [quarter(each) for each in (0, 350, 45, 90, 181, 292.4, 359.9)] == [0, 0, 1, 2, 4, 6, 0]


@pytest.fixture(scope="module")
async def fire(city: City) -> AsyncIterator[Dispatching]:
    async with dispatching(city) as found:
        for place in range(6):
            await found.units((f"E{place}1", "engine", 0.01 + place / 100, "hazmat"), (f"E{place}2", "engine", 0.012 + place / 100, ""))
            await found.units((f"E{place}3", "engine", 0.013 + place / 100, ""), (f"M{place}", "medic", 0.011 + place / 100, ""))
        yield found


async def leak(fire: Dispatching, name: str) -> dict[str, Any]:
    """A release that crews have been told of."""
    before = len(fire.messages())
    await fire.hear(release(name), outline(name))
    return (await fire.until(before + 1))[-1]


async def test_the_message_says_all_that_a_crew_needs_in_both_languages(fire: Dispatching):
    hydrant = {"code": "H1", "lon": SITE[0], "lat": SITE[1] + 0.001, "crs": "wgs84", "area": "430304", "flow_l_s": 15}
    await fire.client.put("/hydrants", json=[hydrant], headers=fire.headers())
    message = await leak(fire, "A1")
    content = (await fire.said(message["incident"]))["content"]
    assert content["texts"]["zh"][1] == "氯 UN 1017 泄漏，泄漏速率 0.8 kg/s。"
    assert "Wind from the east: approach from the east (upwind)." in content["texts"]["en"]
    assert len(content["texts"]["zh"]) == len(content["texts"]["en"])
    assert content["card"]["sites"][0]["name"] == "湘江化工"
    assert [(each["code"], each["flow_l_s"]) for each in content["hydrants"]] == [("H1", 15)]
    endangered = shape(content["outline"]["geometry"])
    for unit in content["units"]:
        assert unit["travel_s"] > 0
        assert not endangered.covers(Point(unit["stop_at"]["lon"], unit["stop_at"]["lat"]))


async def test_the_card_is_for_those_whose_token_covers_important_data(fire: Dispatching):
    message = await leak(fire, "B1")
    general = await fire.said(message["incident"], clearance={"grade": "general", "personal": "none"})
    assert (general["content"]["card"], general["missing"]) == (None, ["card"])
    assert "湘江化工" not in orjson.dumps(general).decode()
    elsewhere = await fire.client.get(f"/incidents/{message['incident']}/crews-message", headers=fire.headers(areas=["4301"]))
    assert elsewhere.status_code == 404


async def test_each_news_is_one_revision_and_the_last_says_that_it_is_over(fire: Dispatching):
    message = await leak(fire, "C1")
    incident, before = message["incident"], len(fire.messages())
    await fire.hear(release("C1", 2, rate_kg_s=3.0))
    await fire.until(before + 1)
    over = {"release": "C1", "regarding": "releases/C1"}
    await fire.hear(ReleaseConcluded(site="S1", ended_at=datetime.now(UTC), **over), OutlineLifted(lifted_at=datetime.now(UTC), **over))
    await fire.until(before + 2)
    assert (await fire.said(incident, 2))["content"]["release"]["rate_kg_s"] == 3.0
    last = (await fire.said(incident))["content"]
    assert last["texts"]["en"][1:3] == ["The release of chlorine has stopped.", "The endangered area has been lifted."]
    assert (await fire.client.get(f"/incidents/{incident}/crews-message?revision=9", headers=fire.headers())).status_code == 404


async def test_a_unit_acknowledges_what_went_to_it_once(fire: Dispatching):
    message = await leak(fire, "D1")
    path = f"/incidents/{message['incident']}/crews-message/1/acknowledgement"
    first, later = datetime.now(UTC).isoformat(), datetime.now(UTC).isoformat()
    body = {"unit": message["units"][0], "at": first}
    answers = [await fire.client.post(path, json=body | {"at": at}, headers=fire.headers()) for at in (first, later)]
    assert [answer.json()["at"][:26] for answer in answers] == [first[:26]] * 2
    assert (await fire.said(message["incident"]))["acknowledged"] == [message["units"][0]]
    absent = next(unit for unit in ("E01", "E51", "M0", "M5") if unit not in message["units"])
    assert (await fire.client.post(path, json=body | {"unit": absent}, headers=fire.headers())).status_code == 409
    assert (await fire.client.post(path, json=body | {"unit": "NO"}, headers=fire.headers())).status_code == 404
    assert (await fire.client.post(path.replace("/1/", "/7/"), json=body, headers=fire.headers())).status_code == 404


async def frames(fire: Dispatching, unit: str, number: int, headers: dict[str, str], after: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    """The first messages of a terminal's stream: position and content."""
    found: list[tuple[int, dict[str, Any]]] = []
    sent = headers | ({"Last-Event-ID": after} if after else {})
    async with (
        asyncio.timeout(60),
        httpx.AsyncClient(base_url=str(fire.client.base_url), trust_env=False) as client,
        client.stream("GET", "/crews/stream", params={"unit": unit}, headers=sent, timeout=60) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        position = 0
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                position = int(line[4:])
            if line.startswith("data: "):
                found.append((position, orjson.loads(line[6:])))
                if len(found) == number:
                    break
    return found


async def test_a_terminal_gets_its_units_messages_and_resumes_without_gap_or_repeat(fire: Dispatching):
    message = await leak(fire, "E1")
    unit, headers = message["units"][0], fire.headers(clearance={"grade": "important", "personal": "none"})
    first = await frames(fire, unit, 1, headers)
    assert (first[0][1]["incident"], first[0][1]["revision"]) == (message["incident"], 1)
    waiting = asyncio.create_task(frames(fire, unit, 2, headers, after=str(first[0][0])))
    other = asyncio.create_task(frames(fire, unit, 2, fire.headers(), after=str(first[0][0])))
    await asyncio.sleep(0.2)
    before = len(fire.messages())
    for revision in (2, 3):
        await fire.hear(release("E1", revision, rate_kg_s=float(revision)))
        await fire.until(before + revision - 1)
    assert [said["revision"] for _, said in await waiting] == [2, 3]
    assert all(said["content"]["card"] is None for _, said in await other)
    resumed = await frames(fire, unit, 1, headers, after=str(first[0][0] + 1))
    assert resumed[0][1]["revision"] == 3


async def test_a_stream_is_for_those_who_see_the_unit(fire: Dispatching):
    for headers, status in ((fire.headers(areas=["4301"]), 404), (fire.headers(scope="env:read"), 403), ({}, 401)):
        assert (await fire.client.get("/crews/stream", params={"unit": "E01"}, headers=headers)).status_code == status
    bad = fire.headers() | {"Last-Event-ID": "x"}
    assert (await fire.client.get("/crews/stream", params={"unit": "E01"}, headers=bad)).status_code == 400


def test_a_message_is_new_only_if_it_says_something_new():
    unit = {"unit": "E1", "route": {"geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}, "travel_s": 5}
    base: dict[str, Any] = {"incident": {"id": "I", "kind": "hazmat"}, "release": None, "outline": {"revision": 1, "computed_at": "a"}, "card": {"sites": []}}
    base |= {"units": [unit], "short": [], "missing": [], "travel_times": "traffic"}
    again = base | {"outline": {"revision": 1, "computed_at": "b"}, "units": [unit | {"travel_s": 7, "route": None}]}
    assert digest(base, routes=False) == digest(again, routes=False)
    assert digest(base, routes=True) != digest(again, routes=True)
    assert digest(base, routes=False) != digest(base | {"outline": {"revision": 2, "computed_at": "a"}}, routes=False)
    assert for_terminal(base | {"card": None}, important=False)["card"] is None
    assert texts(base | {"outline": None})["zh"] == ["危险化学品事故。"]
