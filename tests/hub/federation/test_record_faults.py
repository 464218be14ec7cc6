"""Pages of records beside a source that fails, lies or breaks off: the others' rows come, and it is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from services.hub.catalog.proving import prove
from shared.source_failures import SourceFailure
from tests.city import City
from tests.hub.federation.liar import Liar, Spoil, altered, answer, broken_off, instead, lying, silent
from tests.hub.federation.sectors import Federation, calls, federation, sector

BRIGADE, HARBOUR = calls("f", 30), calls("p", 30)
PATH = "/collections/fire.calls/items?sortby=-units&limit=8&deadline_ms=20000"


@pytest.fixture(scope="module")
async def beside_a_liar(city: City) -> AsyncIterator[tuple[Federation, Liar]]:
    async with AsyncExitStack() as stack:
        app, url, _ = await stack.enter_async_context(sector(city, "harbour", HARBOUR))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {"brigade": BRIGADE}, {"430300/harbour": liar.url}))
        made.apps["harbour"] = app
        yield made, liar


async def get(made: Federation, path: str) -> httpx.Response:
    return await made.client.get(path, headers=made.headers())


def next_of(answered: httpx.Response) -> str | None:
    return next((link["href"] for link in answered.json()["links"] if link["rel"] == "next"), None)


def status(answered: httpx.Response, source: str = "430300/harbour") -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in answered.json()["coverage"]["sources"] if entry["source"] == source)
    return found


def document(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """The real page, changed in place."""

    def spoil(content: bytes) -> bytes:
        page = json.loads(content)
        change(page)
        return json.dumps(page).encode()

    return altered(spoil)


def nested(depth: int) -> Any:
    made: Any = None
    for _ in range(depth):
        made = [made]
    return made


LIES: dict[str, Spoil] = {
    "half the page": altered(lambda content: content[: len(content) // 2]),
    "broken off": broken_off,
    "no JSON": instead(answer(b"<html>")),
    "a list": instead(answer(b"[]")),
    "null": instead(answer(b"null")),
    "500": instead(answer(b"", status="500 Oops")),
    "without places": document(lambda page: page.pop("places")),
    "too few places": document(lambda page: page["places"].pop()),
    "places of nothing": document(lambda page: page.update(places=[["?"]] * len(page["places"]))),
    "out of order": document(lambda page: (page["features"].reverse(), page["places"].reverse())),
    "a row twice": document(lambda page: (page["features"].append(page["features"][0]), page["places"].append(page["places"][0]))),
    "no features": document(lambda page: page.update(features=[7] * len(page["features"]))),
    "no rows and more to come": document(lambda page: page.update(features=[], places=[])),
    "links of nothing": document(lambda page: page.update(links=7)),
    "deeper than can be written": document(lambda page: page["features"][3]["properties"].update(kind=nested(300))),
    "a time that is none": document(lambda page: page.update(timeStamp="yesterday")),
    "a time without offset": document(lambda page: page.update(timeStamp="2026-11-22T08:00:00")),
    "a time before all times": document(lambda page: page.update(timeStamp="0001-01-01T00:00:00+14:00")),
}


@pytest.mark.parametrize("name", LIES)
async def test_the_rows_of_the_others_come_and_the_liar_is_named(beside_a_liar: tuple[Federation, Liar], name: str) -> None:
    made, liar = beside_a_liar
    liar.spoil = LIES[name]
    made.app.state.runtime.own.client.forget("430300/harbour")
    answered = await get(made, PATH)
    assert answered.status_code == 200, answered.text
    assert {feature["id"][0] for feature in answered.json()["features"]} == {"f"}
    assert answered.json()["numberReturned"] == 8
    assert answered.json()["coverage"]["complete"] is False
    assert status(answered)["status"] == "error"
    strict = await get(made, f"{PATH}&strict=true")
    assert strict.status_code == 502


@pytest.mark.parametrize("form", ["csv", "arrow"])
async def test_values_that_are_not_of_the_declared_type_spoil_no_table(beside_a_liar: tuple[Federation, Liar], form: str) -> None:
    made, liar = beside_a_liar
    for wrong in ({"units": "many"}, {"received_at": "yesterday"}, {"units": 2**70}, {"received_at": 7}):
        liar.spoil = document(lambda page, wrong=wrong: page["features"][0]["properties"].update(wrong))  # type: ignore[misc]
        made.app.state.runtime.own.client.forget("430300/harbour")
        answered = await get(made, f"{PATH}&f={form}")
        assert answered.status_code == 200, answered.text
        assert b"p-0" not in answered.content


async def test_a_source_that_fails_between_two_pages_stays_out_of_the_rest_and_is_named(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = None
    made.app.state.runtime.own.client.forget("430300/harbour")
    first = await get(made, PATH)
    assert status(first)["status"] == "ok", status(first)
    liar.spoil = instead(answer(b"", status="500 Oops"))
    second = await get(made, next_of(first) or "")
    assert status(second)["status"] == "error"
    liar.spoil = None
    found = [feature["id"] for page in (first, second) for feature in page.json()["features"]]
    following = next_of(second)
    while following is not None:
        page = await get(made, following)
        assert status(page)["problem"]["type"] == "/problems/source-left-out"
        found += [feature["id"] for feature in page.json()["features"]]
        following = next_of(page)
    assert len(found) == len(set(found))
    assert {row["id"] for row in BRIGADE} <= set(found)


async def test_a_row_that_nobody_has_is_not_called_missing_while_a_source_is_silent(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = silent
    made.app.state.runtime.own.client.forget("430300/harbour")
    assert (await get(made, f"/collections/fire.calls/items/{BRIGADE[0]['id']}")).status_code == 200
    unsure = await get(made, "/collections/fire.calls/items/nothing")
    assert (unsure.status_code, unsure.json()["type"]) == (502, "/problems/nobody-answered")
    liar.spoil = None
    sure = await get(made, "/collections/fire.calls/items/nothing")
    assert sure.status_code == 404, sure.text


async def test_a_proof_that_is_cut_off_here_says_nothing_against_its_source(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    runtime, source = made.app.state.runtime, made.source("430300/harbour")
    cut = 0
    for _ in range(20):
        asked = liar.asked
        proving = asyncio.create_task(prove(runtime, source))
        while liar.asked == asked and not proving.done():
            await asyncio.sleep(0)
        runtime.own.client.forget(source.name)
        (found,) = await asyncio.gather(proving, return_exceptions=True)
        cut += isinstance(found, SourceFailure)
        assert source.proven is True, found
    assert cut


async def test_when_no_source_answers_it_is_an_error(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    source = made.source("430300/brigade")
    address, source.url = source.url, "http://127.0.0.1:1"
    liar.spoil = instead(answer(b"", status="500 Oops"))
    made.app.state.runtime.own.client.forget("430300/harbour")
    try:
        answered = await get(made, PATH)
    finally:
        source.url = address
        made.app.state.runtime.own.client.forget("430300/brigade")
    assert (answered.status_code, answered.json()["type"]) == (502, "/problems/nobody-answered")
    assert {entry["source"] for entry in answered.json()["coverage"]["sources"]} == {"430300/brigade", "430300/harbour"}
