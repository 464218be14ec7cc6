"""The city's event log: every event once, in one order, within the rights of the asker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.hub.app import service
from services.hub.events import log
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.hub.events.receiving import append, entry
from tests.shared.events_under_test import eventually


@pytest.fixture(scope="module")
def settings(city: City) -> Settings:
    return city.settings("hub")


@pytest.fixture(scope="module")
async def client(city: City, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A hub whose log holds twenty events of food, five of fire in other places, two of env on scales, and one of nowhere."""
    admin = city.redis_admin()
    append(admin, *(entry(n) for n in range(20)))
    append(admin, *(entry(n, "fire", area="4303041", kind="fire.call.received.v1") for n in range(5)), service="fire")
    append(admin, entry(0, "env", warninglevel="I", area="430104"), entry(1, "env", warninglevel="III", incidentgrade="II"), service="env")
    append(admin, entry(0, "traffic", area=None), service="traffic")
    async with running(create_app(service, settings)) as made:
        await eventually(lambda: city.sql(settings, "SELECT count(*) AS events FROM event_log")[0]["events"] == 28)
        yield made


@pytest.fixture(scope="module")
def everywhere(city: City) -> dict[str, str]:
    return city.headers("hub", scope="hub:events")


async def page(client: httpx.AsyncClient, headers: dict[str, str], **params: Any) -> dict[str, Any]:
    answer = await client.get("/events", headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_log_is_read_page_by_page(client: httpx.AsyncClient, everywhere: dict[str, str]) -> None:
    positions, after, more = [], 0, True
    while more:
        found = await page(client, everywhere, after=after, limit=6)
        positions += [one["position"] for one in found["events"]]
        after, more = found["after"], found["more"]
    assert positions == sorted(set(positions))
    assert len(positions) == 28
    assert await page(client, everywhere, after=after) == {"events": [], "after": after, "more": False}


async def test_events_are_kept_as_they_came(client: httpx.AsyncClient, everywhere: dict[str, str]) -> None:
    of_food = (await page(client, everywhere, source="430300/food"))["events"]
    assert [one["event"]["data"]["number"] for one in of_food] == list(range(20))
    assert of_food[3]["event"]["data"]["text"] == "线\n两行 \r\n"
    assert of_food[3]["event"]["source"] == "/430300/food"


@pytest.mark.parametrize(
    ("params", "events"),
    [
        ({"type": "fire.*"}, 5),
        ({"type": ["fire.call.received.v1", "traffic.*"]}, 6),
        ({"type": "fire.*,traffic.*"}, 6),
        ({"type": "fire"}, 0),
        ({"type": "fire.call.received_v1".replace("_", ".")}, 5),
        ({"area": "4303"}, 26),
        ({"area": "430302"}, 21),
        ({"area": "4301,4303041"}, 6),
        ({"source": "430300/env"}, 2),
        ({"source": "430100/env"}, 0),
        ({"warninglevel": "I,II"}, 1),
        ({"warninglevel": "I,III"}, 2),
        ({"incidentgrade": "II", "warninglevel": "III"}, 1),
        ({"responselevel": "I"}, 0),
        ({"type": "*", "area": "4303", "source": "430300/fire,430300/env"}, 6),
    ],
)
async def test_filters_narrow(client: httpx.AsyncClient, everywhere: dict[str, str], params: dict[str, Any], events: int) -> None:
    assert len((await page(client, everywhere, **params))["events"]) == events


@pytest.mark.parametrize(("areas", "events"), [(["*"], 28), (["43"], 27), (["4303"], 26), (["4301"], 1), (["430302", "4301"], 22), (["4304"], 0), ([], 0)])
async def test_what_lies_outside_the_areas_of_a_token_does_not_exist_for_it(client: httpx.AsyncClient, city: City, areas: list[str], events: int) -> None:
    headers = city.headers("hub", scope="hub:events", areas=areas)
    assert len((await page(client, headers))["events"]) == events
    assert len((await page(client, headers, area="43"))["events"]) <= events


async def test_the_log_needs_a_scope(client: httpx.AsyncClient, city: City) -> None:
    assert (await client.get("/events")).status_code == 401
    assert (await client.get("/events/stream")).status_code == 401
    for scope, status in (("hub:command", 403), ("hub:query", 200), ("hub:events", 200)):
        assert (await client.get("/events", headers=city.headers("hub", scope=scope))).status_code == status
    assert (await client.get("/events/stream", headers=city.headers("hub", scope="food:read"))).status_code == 403


@pytest.mark.parametrize(
    "params",
    [
        {"after": "-1"},
        {"after": "x"},
        {"after": str(2**63)},
        {"limit": "0"},
        {"limit": "100000"},
        {"type": "Fire%"},
        {"type": "a" * 200},
        {"type": ",".join(["a"] * 60)},
        {"area": "43_3"},
        {"source": "food"},
        {"warninglevel": "red"},
        {"warninglevel": "5"},
        {"typo": "fire.*"},
    ],
)
async def test_a_wrong_parameter_is_refused_and_named(client: httpx.AsyncClient, everywhere: dict[str, str], params: dict[str, str]) -> None:
    for path in ("/events", "/events/stream"):
        answer = await client.get(path, headers=everywhere, params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
        assert next(iter(params)) in answer.text


@pytest.mark.parametrize("last", ["x", "-1", "9" * 19, "9" * 30, "1.5", "²", "7 7"])
async def test_a_wrong_last_event_id_is_refused(client: httpx.AsyncClient, everywhere: dict[str, str], last: str) -> None:
    headers = {name.encode(): value.encode("latin-1") for name, value in {**everywhere, "Last-Event-ID": last}.items()}
    answer = await client.get("/events/stream", headers=headers)
    assert answer.status_code == 400, answer.text


async def test_the_schema_of_an_events_data_is_where_its_dataschema_says(client: httpx.AsyncClient, everywhere: dict[str, str]) -> None:
    shown = await client.get("/events/fire.call.received.v1", headers=everywhere)
    assert shown.status_code == 200
    assert {"call", "received_at"} <= shown.json()["properties"].keys()
    assert "area" not in shown.json()["properties"]
    assert (await client.get("/events/fire.nothing.v1", headers=everywhere)).status_code == 404


async def test_a_page_is_bounded_in_what_it_looks_at_and_in_size(
    client: httpx.AsyncClient, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WINDOW", 3)
    assert len((await page(client, everywhere, type="traffic.*"))["events"]) == 1
    monkeypatch.setattr(log, "PAGE_BYTES", 1000)
    monkeypatch.setattr(log, "CHUNK", 2)
    short = await page(client, everywhere)
    assert 2 <= len(short["events"]) <= 6
    assert (short["after"], short["more"]) == (short["events"][-1]["position"], True)
    monkeypatch.setattr(log, "PATIENCE_S", -1.0)
    assert await page(client, everywhere, type="traffic.*") == {"events": [], "after": 0, "more": True}


async def test_what_comes_again_is_logged_once_and_what_is_forged_never(city: City) -> None:
    settings, admin = city.settings("hub"), city.redis_admin()
    again = entry(1)
    append(admin, again, again, entry(2), again, entry(3, source="/430300/fire"), {"event": "{"}, entry(4))
    async with running(create_app(service, settings)):
        await eventually(lambda: len(city.sql(settings, "SELECT FROM event_log")) == 3)
        append(admin, again, entry(5))
        await eventually(lambda: len(city.sql(settings, "SELECT FROM event_log")) == 4)
    numbers = [row["number"] for row in city.sql(settings, "SELECT envelope -> 'data' ->> 'number' AS number FROM event_log ORDER BY position")]
    assert numbers == ["1", "2", "4", "5"]
    assert [row["reason"] for row in city.sql(settings, "SELECT reason FROM dead_letters ORDER BY id")] == ["forged", "malformed"]
