"""The registry of sources: who is asked, what they offer, how they are; over restarts and lies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OKPKey

from services.hub.app import service
from services.hub.catalog import heartbeat
from services.hub.catalog.declared import Misdescribed, declaration
from services.hub.catalog.domain import limited, schema_digest
from shared.caller import Caller, Clearance
from shared.datasets import catalogue
from shared.datasets.labels import visible_fields
from shared.datasets.view import view
from shared.service import create_app
from shared.testing import running, serving
from shared.vocabulary import DataGrade, Personal
from tests.city import City
from tests.hub.catalog.announcer import LABELS, SCHEMA, Announcer
from tests.hub.federation.sectors import SERVICES

fire = SERVICES["brigade"]
NAMES = {name: {"zh": "线圈", "en": "Loops"} for name in ("title", "description", "owner")}


@dataclass
class Listening:
    city: City
    app: FastAPI
    client: httpx.AsyncClient

    def headers(self, **claims: Any) -> dict[str, str]:
        claims.setdefault("scope", "hub:query")
        return self.city.headers("hub", **claims)

    async def sources(self, **claims: Any) -> dict[str, dict[str, Any]]:
        answer = await self.client.get("/sources", headers=self.headers(**claims))
        assert answer.status_code == 200, answer.text
        return {source["name"]: source for source in answer.json()}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.05)
    monkeypatch.setattr(heartbeat, "RELOAD_S", 0.1)
    monkeypatch.setattr(heartbeat, "PATIENCE_S", 0.5)
    monkeypatch.setattr(heartbeat, "DESCRIBE_EVERY_S", 0.2)


@asynccontextmanager
async def hub_over(city: City, sources: dict[str, str], **settings: Any) -> AsyncIterator[Listening]:
    app = create_app(service, settings.pop("settings", None) or city.settings("hub", sources=sources, **settings))
    async with running(app) as client:
        yield Listening(city, app, client)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it never came to that")


def is_up(hub: Listening, health: str = "up") -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return bool((await hub.sources())["430300/traffic"]["health"] == health)

    return condition


async def test_a_source_is_heard_and_its_datasets_are_known_as_far_as_the_caller_may_see_them(city: City) -> None:
    announcer = Announcer()
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        await until(is_up(hub))
        found = (await hub.sources())["430300/traffic"]
        assert (found["kind"], found["circuit"], found["version"], found["url"]) == ("sector", "closed", "1.0.0", None)
        assert [(offer["dataset"], offer["version"], offer["drifted"]) for offer in found["datasets"]] == [("traffic.loops", "7", False)]
        assert (await hub.sources(scope="hub:admin"))["430300/traffic"]["url"] == str(at.base_url)
        claims = hub.app.state.runtime.own.issuer.read(announcer.tokens[0])
        assert (claims["aud"], claims["sub"], claims["areas"]) == ("430300/traffic", "430300/hub", ["*"])
    assert (await _status(hub_over(city, {}), "food:read")) == 403


async def _status(opened: Any, scope: str) -> int:
    async with opened as hub:
        answer: httpx.Response = await hub.client.get("/sources", headers=hub.headers(scope=scope))
        return answer.status_code


async def test_a_source_that_goes_away_is_down_with_a_reason_and_comes_back(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.breaker.PAUSE_S", 0.1)
    announcer = Announcer()
    async with hub_over(city, {"430300/traffic": "http://127.0.0.1:1"}) as hub:
        await until(is_up(hub, "down"))
        found = (await hub.sources())["430300/traffic"]
        assert found["problem"]["type"] in ("/problems/source-error", "/problems/source-skipped")
        assert found["last_seen"] is None
        assert (await hub.client.get("/readyz")).status_code == 200
        async with serving(announcer.app) as at:
            hub.app.state.runtime.own.registry._configured["430300/traffic"] = str(at.base_url)
            await until(is_up(hub))
            assert (await hub.sources())["430300/traffic"]["problem"] is None


async def test_a_changed_schema_is_noticed_and_changed_words_are_not(city: City) -> None:
    announcer = Announcer()
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        await until(is_up(hub))
        first = (await hub.sources())["430300/traffic"]["datasets"][0]
        announcer.schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "id": {**SCHEMA["properties"]["id"], "title": "Number"}}}
        await asyncio.sleep(0.5)
        assert (await hub.sources())["430300/traffic"]["datasets"][0]["drifted"] is False
        announcer.schema = {**SCHEMA, "properties": {"id": {**SCHEMA["properties"]["id"], "type": "integer"}}, "required": []}

        async def drifted() -> bool:
            return bool((await hub.sources())["430300/traffic"]["datasets"][0]["drifted"])

        await until(drifted)
        assert (await hub.sources())["430300/traffic"]["datasets"][0]["changes"] == {"added": [], "removed": [], "retyped": ["id"], "altered": []}
        changes = {"added": [], "removed": ["driver", "speed"], "retyped": ["id"], "altered": []}
        assert (await hub.sources(scope="hub:admin"))["430300/traffic"]["datasets"][0]["changes"] == changes
        assert (await hub.sources())["430300/traffic"]["datasets"][0]["schema_digest"] != first["schema_digest"]


async def test_datasets_appear_and_disappear_without_a_change_in_the_hub(city: City) -> None:
    announcer = Announcer()
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        await until(is_up(hub))
        announcer.capabilities = {**announcer.capabilities, "datasets": [{"id": "traffic.closures"}, {"id": "traffic.loops"}]}

        async def now(*expected: str) -> bool:
            return tuple(offer["dataset"] for offer in (await hub.sources())["430300/traffic"]["datasets"]) == expected

        await until(lambda: now("traffic.closures", "traffic.loops"))
        announcer.capabilities = {**announcer.capabilities, "datasets": [{"id": "traffic.closures"}]}
        await until(lambda: now("traffic.closures"))

        async def kept() -> bool:
            rows = city.sql(hub.app.state.runtime.settings, "SELECT dataset FROM source_datasets")
            return [row["dataset"] for row in rows] == ["traffic.closures"]

        await until(kept)


async def test_what_a_source_offered_is_known_after_a_restart_although_it_is_away(city: City) -> None:
    announcer = Announcer()
    async with serving(announcer.app) as at:
        settings = city.settings("hub", sources={"430300/traffic": str(at.base_url)})
        async with hub_over(city, {}, settings=settings) as hub:
            await until(is_up(hub))
    async with hub_over(city, {}, settings=settings) as hub:
        await until(is_up(hub, "down"))
        found = (await hub.sources())["430300/traffic"]
        assert [offer["dataset"] for offer in found["datasets"]] == ["traffic.loops"]
        assert found["last_seen"] is not None


LIES = (
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b'{"service": "fire", "city": "430300", "version": "1", "contract": "1", "datasets": []}',
    b'{"service": "traffic", "city": "430300", "version": "1", "contract": "2", "datasets": []}',
    b'{"service": "traffic", "city": "430300", "version": "1", "contract": "1", "datasets": [{"id": "../../etc"}]}',
    b'{"service": "traffic", "city": "430300", "version": "1", "contract": "1", "datasets": [' + b'{"id": "a.b"},' * 600 + b'{"id": "a.b"}]}',
    b"x" * 5_000_000,
)


async def test_a_source_that_announces_nonsense_is_down_and_what_was_known_stays(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.breaker.PAUSE_S", 0.05)
    announcer = Announcer()
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        for lie in LIES:
            announcer.raw = None
            await until(is_up(hub))
            announcer.raw = lie
            await until(is_up(hub, "down"))
            found = (await hub.sources())["430300/traffic"]
            assert [offer["dataset"] for offer in found["datasets"]] == ["traffic.loops"], lie[:100]
            assert found["problem"]["type"].startswith("/problems/source-"), lie[:100]


async def test_a_dataset_without_a_usable_schema_is_not_taken(city: City) -> None:
    announcer = Announcer()
    announcer.schema = {"properties": {"id": "string"}}
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        await until(is_up(hub, "down"))
        assert (await hub.sources())["430300/traffic"]["datasets"] == []


async def test_an_administrator_adds_and_removes_sources(city: City) -> None:
    announcer = Announcer()
    key = announcer.identity.public
    async with serving(announcer.app) as at, hub_over(city, {"430300/env": "http://127.0.0.1:1"}) as hub:
        admin = hub.headers(scope="hub:admin")
        wish = {"name": "430300/traffic", "url": str(at.base_url), "key": key}
        assert (await hub.client.post("/sources", json=wish, headers=hub.headers())).status_code == 403
        made = await hub.client.post("/sources", json=wish, headers=admin)
        assert (made.status_code, made.json()["added_by"]) == (201, "client:test")
        assert made.json()["key"]["x"] == key["x"]
        assert (await hub.client.post("/sources", json=wish, headers=admin)).status_code == 409
        assert (await hub.client.post("/sources", json={**wish, "name": "430300/hub"}, headers=admin)).status_code == 409
        await until(is_up(hub))
        assert (await hub.client.delete("/sources/430300/env", headers=admin)).status_code == 409
        assert (await hub.client.delete("/sources/430300/traffic", headers=hub.headers())).status_code == 403
        assert (await hub.client.delete("/sources/430300/traffic", headers=admin)).status_code == 204
        assert (await hub.client.delete("/sources/430300/traffic", headers=admin)).status_code == 404
        assert list(await hub.sources()) == ["430300/env"]


async def test_a_server_with_another_key_than_the_pinned_one_is_named_and_sent_no_token(city: City) -> None:
    announcer, impostor = Announcer(), Announcer()
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url)}) as hub:
        await until(is_up(hub))
        found = (await hub.sources())["430300/traffic"]
        assert (found["trust"], found["key"]["x"], found["key"]["pinned_by"]) == ("proven", announcer.identity.public["x"], "first use")
        asked = await hub.client.get("/collections/traffic.loops/items", headers=hub.headers())
        assert "source-unproven" not in asked.text  # it was asked, and has no such page
        announcer.identity = impostor.identity
        await until(is_up(hub, "down"))
        sent = len(announcer.tokens)
        refused = await hub.client.get("/collections/traffic.loops/items", headers=hub.headers())
        await asyncio.sleep(0.3)
        assert refused.json()["coverage"]["sources"][0]["problem"]["type"] == "/problems/source-unproven"
        found = (await hub.sources())["430300/traffic"]
        assert (found["trust"], found["problem"]["type"], len(announcer.tokens)) == ("unproven", "/problems/source-unproven", sent)

        admin, route = hub.headers(scope="hub:admin"), "/sources/430300/traffic/key"
        assert (await hub.client.put(route, json={"key": None}, headers=hub.headers())).status_code == 403
        assert (await hub.client.put("/sources/430300/none/key", json={"key": None}, headers=admin)).status_code == 404
        assert (await hub.client.put(route, json={"key": announcer.identity.public}, headers=admin)).status_code == 200
        await until(is_up(hub))
        assert (await hub.sources())["430300/traffic"]["key"]["pinned_by"] == "client:test"


async def test_a_source_that_proves_nothing_is_sent_no_token(city: City) -> None:
    announcer = Announcer()
    announcer.identity = Announcer("env").identity
    async with serving(announcer.app) as at, hub_over(city, {"430300/traffic": str(at.base_url), "430300/env": str(at.base_url) + "/nowhere"}) as hub:

        async def both_down() -> bool:
            return {source["health"] for source in (await hub.sources()).values()} == {"down"}

        await until(both_down)
        found = await hub.sources(scope="hub:admin")
        assert [source["problem"]["type"] for source in found.values()] == ["/problems/source-unproven"] * 2
        assert announcer.tokens == []


NONSENSE: tuple[dict[str, Any], ...] = (
    {"name": "traffic"},
    {"name": "430300/traffic/x"},
    {"url": "ftp://x"},
    {"url": "nonsense"},
    {"url": "http://user:secret@127.0.0.1:1"},
    {"url": "http://169.254.169.254"},
    {"url": "http://[fe80::1]"},
    {"url": "http://127.0.0.1:1/?a=b"},
    {"url": "http://127.0.0.1:1/#c"},
    {"kind": "nation"},
    {"key": {"kty": "oct", "k": "AAAA"}},
    {"key": OKPKey.generate_key("Ed25519").as_dict(private=True)},
    {"key": OKPKey.generate_key("X25519").as_dict(private=False)},
    {"key": {}},
    {"more": 1},
)


async def test_nonsense_is_no_source(city: City) -> None:
    async with hub_over(city, {}) as hub:
        for change in NONSENSE:
            wish = {"name": "430300/traffic", "url": "http://127.0.0.1:1", **change}
            answer = await hub.client.post("/sources", json=wish, headers=hub.headers(scope="hub:admin"))
            assert answer.status_code == 422, change
            assert answer.json()["pointer"].startswith(f"/{next(iter(change))}"), change


def test_a_description_is_read_back_into_the_declaration_behind_it() -> None:
    declared = fire.datasets[0]
    seen = view(declared, Caller("user:x", "430300/brigade", frozenset({"fire:read"}), ("*",), Clearance(DataGrade.IMPORTANT, Personal.SENSITIVE)))
    read = declaration(declared.id, catalogue.collection(seen, "http://x", "en"), catalogue.schema(seen, "http://x", "en"))
    assert read.fields == tuple(
        replace(field, grade=declared.grade_of(field), personal=declared.personal_of(field), sharing=declared.sharing) for field in declared.fields
    )
    for name in ("id", "title", "description", "owner", "time", "area", "geometry", "licence", "grade", "personal", "sharing", "smallest_group", "freshness"):
        assert getattr(read, name) == getattr(declared, name), name


def test_fields_above_the_clearance_do_not_exist_for_the_caller() -> None:
    collection = {"names": NAMES}
    declared = declaration("traffic.loops", collection, SCHEMA)
    caller = Caller("user:x", "430300/hub", frozenset({"hub:query"}), ("*",))
    cleared = Caller("user:x", "430300/hub", frozenset({"traffic:read"}), ("*",), Clearance(DataGrade.GENERAL, Personal.PERSONAL))
    assert list(visible_fields(declared, caller)) == ["id", "speed"]
    assert limited(caller, declared) and not limited(cleared, declared)
    assert limited(replace(cleared, areas=("4303",)), declared)


@pytest.mark.parametrize(
    "change",
    [
        {"x-grade": "unheard-of"},
        {"x-grade": "core"},
        {"properties": {}},
        {"properties": {"id": {"type": "string"}}},
        {"properties": {"id": {"type": "nonsense", "x-title": {"zh": "x", "en": "x"}, **LABELS}}},
        {"properties": {f"f{n}": SCHEMA["properties"]["id"] for n in range(501)}},
        {"required": 7},
    ],
)
def test_a_description_that_no_declaration_gives_is_refused(change: dict[str, Any]) -> None:
    collection = {"names": NAMES}
    with pytest.raises(Misdescribed):
        declaration("traffic.loops", collection, {**SCHEMA, **change})
    with pytest.raises(Misdescribed):
        declaration("traffic.loops", {"names": {}}, SCHEMA)


def test_the_digest_of_a_schema_is_of_its_meaning() -> None:
    properties: Any = SCHEMA["properties"]
    reordered = {**SCHEMA, "title": "Schleifen", "properties": dict(reversed(properties.items())), "required": ["driver", "id"]}
    assert schema_digest(reordered) == schema_digest(SCHEMA)
    assert schema_digest({**SCHEMA, "properties": {**properties, "id": {"type": "integer"}}}) != schema_digest(SCHEMA)
