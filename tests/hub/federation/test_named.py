"""Peers' data count only when the question names them, and then exactly those that it names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import Response

from services.hub.catalog.heartbeat import listen
from tests.city import City
from tests.hub.federation.gateway import Gateway, gateway
from tests.hub.federation.sectors import Federation, calls, federation, readings

COUNT = {"measures": {"calls": {"fn": "count"}}, "deadline_ms": 20_000}
PEER, OWN = "430100/hub", "430300/brigade"


class Peered:
    def __init__(self, found: Federation, made: Gateway) -> None:
        self.found, self.gateway = found, made

    async def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        return await self.found.client.request(method, path, headers=self.found.headers(), **kwargs)

    async def count(self, *named: str, **more: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "/collections/fire.calls/aggregate", json={**COUNT, **({"sources": list(named)} if named else {}), **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def hear(self) -> None:
        """What the gateway announces now, then everybody who is left."""
        await listen(self.found.app.state.runtime, self.found.source("430300/intercity"), describe=False)
        await self.found.meet()


@pytest.fixture(scope="module")
async def peered(city: City) -> AsyncIterator[Peered]:
    async with (
        gateway(city, calls("p", 30, seed=2)) as (made, url),
        federation(city, {"brigade": calls("b", 50), "air": readings(10)}, {"430300/intercity": url}) as found,
    ):
        await found.meet()  # the first time made the peer known
        yield Peered(found, made)


def _sources(answer: dict[str, Any]) -> dict[str, str]:
    return {one["source"]: one["status"] for one in answer["coverage"]["sources"]}


async def test_the_gateway_announces_its_peers_as_sources(peered: Peered) -> None:
    known = {one["name"]: one for one in (await peered.ask("GET", "/sources")).json()}
    assert (known[PEER]["kind"], known[PEER]["health"], known[PEER]["added_by"]) == ("city", "up", "430300/intercity")
    assert [offer["dataset"] for offer in known[PEER]["datasets"]] == ["fire.calls"]
    shown = (await peered.ask("GET", "/collections/fire.calls")).json()
    assert shown["sources"] == [OWN, PEER]


async def test_a_peer_is_asked_only_if_it_is_named(peered: Peered) -> None:
    alone, both, peer = await peered.count(), await peered.count(OWN, PEER), await peered.count(PEER)
    assert (alone["rows"], both["rows"], peer["rows"]) == ([[50]], [[80]], [[30]])
    assert _sources(alone) == {OWN: "ok"} and len(_sources(both)) == 2 and OWN not in _sources(peer)
    short = await peered.ask("GET", "/collections/fire.calls/aggregate", params={"measure": "calls:count", "sources": f"{PEER},{OWN}"})
    assert short.json()["rows"] == [[80]]


@pytest.mark.parametrize(("more", "whole"), [("&sortby=-units", True), ("", True), ("&f=geojson&properties=kind&sortby=received_at", True), ("", False)])
async def test_a_peer_gives_one_page_to_a_stream(peered: Peered, more: str, whole: bool) -> None:
    settings = peered.found.app.state.runtime.settings
    peered.found.app.state.runtime.settings = settings if whole else settings.model_copy(update={"page_limit": 20})
    found = (await peered.ask("GET", f"/collections/fire.calls/items?stream=true&sources={OWN},{PEER}{more}")).json()
    peered.found.app.state.runtime.settings = settings
    assert {row["id"][0] for row in found["features"]} == {"b", "p"}
    assert (found["numberReturned"], found["coverage"]["complete"]) == ((80, True) if whole else (70, False))
    alone = (await peered.ask("GET", "/collections/fire.calls/items?stream=true")).json()
    assert alone["numberReturned"] == 50


async def test_rows_of_a_peer_come_page_by_page(peered: Peered) -> None:
    ids: list[str] = []
    url = f"/collections/fire.calls/items?limit=17&sortby=received_at&sources={OWN},{PEER}"
    while url:
        page = (await peered.ask("GET", url)).json()
        ids += [row["id"] for row in page["features"]]
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        url = following[0] if following else ""
    assert len(ids) == len(set(ids)) == 80
    assert len((await peered.ask("GET", "/collections/fire.calls/items?limit=1000")).json()["features"]) == 50
    one = await peered.ask("GET", f"/collections/fire.calls/items/p-00003?sources={PEER}")
    assert one.json()["id"] == "p-00003"
    assert (await peered.ask("GET", "/collections/fire.calls/items/p-00003")).status_code == 404


async def test_a_page_token_serves_only_the_sources_it_was_given_for(peered: Peered) -> None:
    first = (await peered.ask("GET", f"/collections/fire.calls/items?limit=5&sources={OWN},{PEER}")).json()
    following = next(link["href"] for link in first["links"] if link["rel"] == "next")
    token = httpx.URL(following).params["token"]
    for sources in ({}, {"sources": PEER}):
        answer = await peered.ask("GET", "/collections/fire.calls/items", params={"limit": 5, "token": token, **sources})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-page-token")


async def test_across_datasets_each_asks_those_named_that_have_it(peered: Peered) -> None:
    parts = {name: {"dataset": of, "measures": {"n": {"fn": "count"}}} for name, of in (("fires", "fire.calls"), ("air", "air.readings"))}
    asked = {"across": parts, "sources": [PEER, "430300/air"], "deadline_ms": 20_000}
    answer = await peered.ask("POST", "/aggregate", json=asked)
    assert answer.json()["rows"] == [[30, 10, "ok", "ok"]], answer.text
    missing = await peered.ask("POST", "/aggregate", json={**asked, "sources": [PEER]})
    assert (missing.status_code, missing.json()["pointer"]) == (400, "/across/air/dataset")


@pytest.mark.parametrize("names", ["430100/fire", f"{OWN},430300/air", "x", "", "a/b," * 60, "430300/hub"])
async def test_a_name_that_is_no_source_of_the_dataset_is_refused(peered: Peered, names: str) -> None:
    for path in ("items", "items/b-00001", "aggregate?measure=calls:count"):
        answer = await peered.ask("GET", f"/collections/fire.calls/{path}", params={"sources": names} | ({"measure": "n:count"} if "?" in path else {}))
        assert (answer.status_code, answer.json()["pointer"]) == (400, "/sources"), answer.text
    if "/" in names:
        asked = {"dataset": "fire.calls", **COUNT, "sources": names.split(",")[:40]}
        assert (await peered.ask("POST", "/aggregate", json=asked)).status_code in (400, 422)


async def test_own_datasets_can_be_named_too(peered: Peered) -> None:
    assert (await peered.ask("GET", "/collections/hub.areas/items?sources=430300/hub&strict=true")).status_code == 200
    assert (await peered.ask("GET", f"/collections/hub.areas/items?sources={PEER}")).status_code == 400


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
async def test_what_a_peer_refuses_is_an_entry_of_the_coverage(peered: Peered, status: int) -> None:
    peered.gateway.refusal = Response('{"type": "/problems/outside-agreement", "detail": "not agreed"}', status, media_type="application/problem+json")
    try:
        answer = await peered.count(OWN, PEER)
        assert answer["rows"] == [[50]] and not answer["coverage"]["complete"]
        assert _sources(answer)[PEER] == ("denied" if status == 403 else "error")
        alone = await peered.ask("POST", "/collections/fire.calls/aggregate", json={**COUNT, "sources": [PEER]})
        assert alone.status_code == (502 if status in (403, 500) else 400)  # of a kind that is not known here
        rows = (await peered.ask("GET", f"/collections/fire.calls/items?sources={OWN},{PEER}&limit=100")).json()
        assert len(rows["features"]) == 50 and not rows["coverage"]["complete"]
    finally:
        peered.gateway.refusal = None


async def test_a_peer_speaks_for_itself_alone(peered: Peered) -> None:
    peered.gateway.speaks_as = b"430300/intercitx"
    try:
        assert _sources(await peered.count(OWN, PEER))[PEER] == "error"
    finally:
        peered.gateway.speaks_as = b"430100/intercity"


async def test_only_the_gateway_may_announce_peers_and_what_it_no_longer_announces_is_forgotten(peered: Peered) -> None:
    app, registry = peered.found.app, peered.found.app.state.runtime.own.registry
    peered.gateway.peers = []
    await peered.hear()
    assert PEER not in registry.sources
    unknown = await peered.ask("GET", f"/collections/fire.calls/items?sources={PEER}")
    assert unknown.status_code == 400
    peered.gateway.peers = [{"city": "430100", "url_path": "/peers/430100"}, {"city": "430300", "url_path": "/peers/430300"}]
    source = registry.sources["430300/intercity"]
    registry.sources["430300/intercity"].name = peered.gateway.name = "fire"
    source.name = "430300/fire"
    await listen(app.state.runtime, source, describe=False)
    assert PEER not in registry.sources
    source.name, peered.gateway.name = "430300/intercity", "intercity"
    await peered.hear()
    assert PEER in registry.sources and "430300/hub" not in registry.sources


async def test_an_administrator_adds_a_peer_below_the_gateway_alone(peered: Peered) -> None:
    admin = peered.found.headers(scope="hub:admin")
    source = {"name": "430200/hub", "kind": "city", "url": "http://127.0.0.1:9/peers/430200"}
    assert (await peered.found.client.post("/sources", json=source, headers=admin)).status_code == 409
