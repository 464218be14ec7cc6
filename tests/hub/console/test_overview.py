"""One overview for all who look: true, within their rights, and asked of the sectors once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from ops.demo.areas import demo_areas
from services.hub.console.domain import AT_MOST_EVERY_S
from shared.middleware import REQUESTS
from tests.browser import scene
from tests.city import City
from tests.services import Served, served, until

ASKED = ("/collections/{collection}/aggregate", "/collections/{collection}/items")


@pytest.fixture(scope="module")
async def small(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with served(city, tmp_path_factory.mktemp("overview"), ("hub", "fire")) as found:
        await found.send("PUT", "hub", "/areas", list(demo_areas(cells=False)), scope="hub:admin")
        await scene.call(found, "first", area="430302003")
        await until(lambda: found.apps["hub"].state.runtime.own.live.head > 0, "the call is not in the log")
        yield found


def questions() -> int:
    """How often the sectors were asked for data so far."""
    samples = [sample for metric in REQUESTS.collect() for sample in metric.samples if sample.name.endswith("_count")]
    return int(sum(sample.value for sample in samples if sample.labels["service"] != "hub" and sample.labels["route"] in ASKED))


async def seen(city: Served, after: int = 0, **claims: Any) -> httpx.Response:
    answer = await city.clients["hub"].get("/overview", params={"after": after}, headers=city.headers("hub", "hub:query", **claims))
    assert answer.status_code == 200, answer.text
    return answer


async def test_twenty_viewers_cost_the_sectors_what_one_costs(small: Served) -> None:
    async def look(viewers: int) -> int:
        await asyncio.sleep(AT_MOST_EVERY_S)
        await scene.call(small, f"look-{viewers}")  # outdates whatever is kept
        live = small.apps["hub"].state.runtime.own.live
        await until(lambda: live.head == position[0] + 2, "call and incident are not in the log")
        position[0] = live.head
        before = questions()
        for _ in range(3):  # each comes back some times, as pages do
            await asyncio.gather(*(seen(small, live.head, subject=f"user:viewer-{number}") for number in range(viewers)))
        return questions() - before

    position = [small.apps["hub"].state.runtime.own.live.head]
    one, twenty = await look(1), await look(20)
    assert one == twenty > 0


async def test_an_overview_knows_of_the_events_that_the_asker_knows_of(small: Served) -> None:
    before = (await seen(small)).json()
    await scene.call(small, "known")
    live = small.apps["hub"].state.runtime.own.live
    await until(lambda: live.head > before["position"], "the call is not in the log")
    after = (await seen(small, after=live.head)).json()
    assert after["position"] >= live.head > before["position"]
    assert number_of(after) == number_of(before) + 1
    assert after["events"][0]["position"] == live.head


def number_of(overview: Any) -> int:
    return sum(row[2] for row in overview["indicators"][0]["places"])


async def test_each_is_shown_what_their_rights_show(small: Served) -> None:
    await scene.call(small, "elsewhere", area="430381001")
    await asyncio.sleep(AT_MOST_EVERY_S)
    everywhere, there, nowhere = [(await seen(small, areas=areas)).json() for areas in (["*"], ["430381"], [])]
    assert {row[0] for row in everywhere["indicators"][0]["places"]} == {"430302", "430381"}
    assert {row[0] for row in there["indicators"][0]["places"]} == {"430381"}
    assert {entry["event"]["area"][:6] for entry in there["events"]} == {"430381"}
    assert nowhere["indicators"][0]["places"] == nowhere["events"] == []
    assert there["scope"]["areas"] == ["430381"]
    refused = await small.clients["hub"].get("/overview", headers=small.headers("hub", "fire:read"))
    assert refused.status_code == 403


async def test_what_nobody_shares_is_called_absent_and_the_same_answer_is_not_sent_twice(small: Served) -> None:
    answer = await seen(small)
    overview = answer.json()
    states = {part["dataset"]: part["state"] for part in (*overview["indicators"], *overview["lists"].values())}
    assert (states["fire.calls"], states["env.observations"], states["traffic.closures"]) == ("ok", "absent", "absent")
    assert overview["complete"] is True
    assert [source["name"] for source in overview["sources"]] == ["430300/hub", "430300/fire"]
    assert datetime.fromisoformat(overview["window"]["from"]) < datetime.now(UTC)
    headers = small.headers("hub", "hub:query") | {"If-None-Match": answer.headers["etag"]}
    assert (await small.clients["hub"].get("/overview", headers=headers)).status_code == 304


async def test_a_position_beyond_the_log_is_no_reason_to_wait(small: Served) -> None:
    async with asyncio.timeout(5):
        await seen(small, after=2**63 - 1)


async def test_a_sector_that_dies_is_named_in_it(small: Served) -> None:
    await small.stop("fire")
    source = small.apps["hub"].state.runtime.own.registry.sources["430300/fire"]
    await until(lambda: source.health == "down", "its death is not noticed")
    await asyncio.sleep(AT_MOST_EVERY_S)
    overview = (await seen(small)).json()
    assert overview["complete"] is False
    calls = overview["indicators"][0]
    assert (calls["state"], calls["places"]) == ("failed", [])
    assert [(entry["source"], entry["status"]) for entry in calls["coverage"]["sources"]] == [("430300/fire", "error")]
    assert next(each for each in overview["sources"] if each["name"] == "430300/fire")["health"] == "down"
