"""Unchanged sources compute nothing twice: a dashboard costs one question per change, within everybody's own rights, and says how old it is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.database import at_once
from shared.datasets import versions
from shared.datasets.aggregate import states as wire
from tests.city import City
from tests.hub.federation.liar import Liar, answer, instead, lying, silent
from tests.hub.federation.sectors import Federation, calls, federation, fill, sector

BRIGADE, HARBOUR = calls("f", 300), calls("p", 200)
COUNT: dict[str, Any] = {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}}
NARROW = {"areas": ["430302"]}
Asked = dict[str, Counter[str]]


def panel(number: int) -> dict[str, Any]:
    """One of twenty questions that differ."""
    by = {"kind": "kind"} if number % 2 else {"district": "area:district"}
    return {**COUNT, "measures": {"n": {"fn": "count"}, "units": {"fn": "sum", "field": "units"}}, "by": by, "filter": f"units > {number // 2 - 1}"}


def listened(app: FastAPI) -> Counter[str]:
    """Counts what a sector asks its database: aggregates over rows, and looks at versions."""
    counted: Counter[str] = Counter()

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "count(*) AS rows" in statement:
            counted["computed"] += 1
        elif "change_counts" in statement:
            counted["looks"] += 1

    event.listen(app.state.runtime.reader.sync_engine, "before_cursor_execute", note)
    return counted


@pytest.fixture(scope="module")
async def dashboard(city: City) -> AsyncIterator[tuple[Federation, Asked]]:
    async with federation(city, {"brigade": BRIGADE, "harbour": HARBOUR}) as made:
        await made.aggregate(COUNT)  # the first answer loads libraries
        asked = {name: listened(app) for name, app in made.apps.items()}
        by_engine = {app.state.runtime.reader: asked[name] for name, app in made.apps.items()}
        real = at_once

        async def noted(engine: AsyncEngine, statement: str, *given: Any) -> Any:
            if engine in by_engine:
                by_engine[engine]["looks"] += 1
            return await real(engine, statement, *given)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(versions, "at_once", noted)
            yield made, asked


@pytest.fixture(scope="module")
async def beside_a_liar(city: City) -> AsyncIterator[tuple[Federation, Liar]]:
    async with AsyncExitStack() as stack:
        app, url, _ = await stack.enter_async_context(sector(city, "harbour", HARBOUR))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {"brigade": BRIGADE}, {"430300/harbour": liar.url}))
        made.apps["harbour"] = app
        await made.meet()
        yield made, liar


def entry(answered: httpx.Response, source: str) -> dict[str, Any]:
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = next(entry for entry in answered.json()["coverage"]["sources"] if entry["source"] == source)
    return found


def total(answered: httpx.Response) -> int:
    assert answered.status_code == 200, answered.text
    return sum(row[-2] if len(row) > 2 else row[-1] for row in answered.json()["rows"])


async def refreshed(made: Federation, panels: int, viewers: int) -> list[httpx.Response]:
    """Every viewer loads all panels, all at about the same time."""
    headers = [made.headers(subject=f"person:{number}") for number in range(viewers)]
    asked = [made.client.post("/aggregate", json={**panel(number), "deadline_ms": 60_000}, headers=each) for each in headers for number in range(panels)]
    return await asyncio.gather(*asked)


@pytest.mark.parametrize("viewers", [2, pytest.param(50, marks=pytest.mark.proof)])
async def test_a_dashboard_costs_one_question_per_change(dashboard: tuple[Federation, Asked], viewers: int) -> None:
    """Twenty panels, refreshed by all viewers: at first, unchanged, and after one sector has taken in a row."""
    made, asked = dashboard
    made.app.state.runtime.own.kept.kept.clear()
    began = datetime.now(UTC)
    before = {name: counted.copy() for name, counted in asked.items()}

    def since() -> dict[str, Counter[str]]:
        found = {name: counted - before[name] for name, counted in asked.items()}
        before.update({name: counted.copy() for name, counted in asked.items()})
        return found

    first = await refreshed(made, 20, viewers)
    spent = since()
    assert {name: spent[name]["computed"] for name in spent} == {"brigade": 20, "harbour": 20}
    again = await refreshed(made, 20, viewers)
    spent = since()
    assert {name: spent[name]["computed"] for name in spent} == {"brigade": 0, "harbour": 0}
    assert all(0 < spent[name]["looks"] <= 20 * viewers / 2 for name in spent), "looks at versions are shared"
    assert [answered.json()["rows"] for answered in again] == [answered.json()["rows"] for answered in first]
    for answered in again:
        assert answered.json()["coverage"]["complete"] is True
        assert datetime.fromisoformat(answered.json()["coverage"]["as_of"]) >= began
    await fill(made.apps["brigade"], [{**row, "id": f"new-{viewers}", "units": 99} for row in BRIGADE[:1]])
    changed = await refreshed(made, 20, viewers)
    spent = since()
    assert {name: spent[name]["computed"] for name in spent} == {"brigade": 20, "harbour": 0}
    assert [total(answered) for answered in changed] == [total(answered) + 1 for answered in again]


async def test_whoever_has_written_sees_it_whatever_others_ask_meanwhile(dashboard: tuple[Federation, Asked]) -> None:
    made, _ = dashboard
    ended = asyncio.Event()

    async def ask_all_the_time() -> None:
        while not ended.is_set():
            await made.aggregate(COUNT)

    others = [asyncio.create_task(ask_all_the_time()) for _ in range(2)]
    try:
        known = total(await made.aggregate(COUNT))
        for number in range(5):
            await fill(made.apps["harbour"], [{**HARBOUR[0], "id": f"mine-{number}"}])
            assert total(await made.aggregate(COUNT)) == known + number + 1
    finally:
        ended.set()
        await asyncio.gather(*others)


async def test_equal_questions_at_once_are_one_and_who_leaves_takes_nothing_from_the_others(dashboard: tuple[Federation, Asked]) -> None:
    made, asked = dashboard
    question = {**COUNT, "filter": "units > 3", "by": {"kind": "kind"}}
    before = asked["brigade"]["computed"]
    async with locked(made):
        hasty = asyncio.create_task(made.aggregate({**question, "deadline_ms": 150}))
        leaving = asyncio.create_task(made.aggregate(question))
        await asyncio.sleep(0.05)
        patient = [asyncio.create_task(made.aggregate(question)) for _ in range(20)]
        await asyncio.sleep(0.3)
        leaving.cancel()
        assert (await hasty).status_code == 504
    answers = await asyncio.gather(*patient)
    assert {answered.status_code for answered in answers} == {200}
    assert len({str(answered.json()["rows"]) for answered in answers}) == 1
    assert asked["brigade"]["computed"] - before <= 2, "the hasty one's, and one for all others"


@asynccontextmanager
async def locked(made: Federation) -> AsyncIterator[None]:
    """Whoever reads calls waits until this is left."""
    connections = [await asyncpg.connect(settings.owner_url.get_secret_value()) for settings in made.settings.values() if settings.owner_url]
    try:
        for connection in connections:
            await connection.execute("BEGIN; LOCK TABLE calls IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        for connection in connections:
            await connection.close()


async def test_each_sees_within_their_own_rights_and_no_version_shines_through(dashboard: tuple[Federation, Asked]) -> None:
    made, _ = dashboard
    everything, narrow = await made.aggregate(COUNT), await made.aggregate(COUNT, **NARROW)
    assert total(narrow) < total(everything)
    assert (total(await made.aggregate(COUNT)), total(await made.aggregate(COUNT, **NARROW))) == (total(everything), total(narrow))
    assert not {"etag", "liandong-version"} & set(narrow.headers)
    sector_url = str(made.source("430300/brigade").url)
    body = {"measures": COUNT["measures"]}
    async with httpx.AsyncClient(base_url=sector_url, trust_env=False) as client:
        whole = made.city.headers("brigade", scope="fire:read", clearance={"grade": "important", "personal": "personal"})
        first = await client.post("/collections/fire.calls/aggregate", json=body, headers=whole)
        same = await client.post("/collections/fire.calls/aggregate", json=body, headers={**whole, "If-None-Match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        few = made.city.headers("brigade", scope="fire:read", **NARROW)
        assert "etag" not in (await client.post("/collections/fire.calls/aggregate", json=body, headers=few)).headers
        assert (await client.get("/versions", headers=whole)).status_code == 403
        hop = made.city.headers("brigade", scope="hub:query", actor="430300/hub", **NARROW) | {"Accept": wire.MEDIA_TYPE}
        tags = [(await client.post("/collections/fire.calls/aggregate", json=body, headers=hop)).headers["etag"] for _ in range(2)]
        assert tags[0] == tags[1] != first.headers["etag"]


async def test_who_sees_less_than_everything_is_given_an_unchanged_answer_no_sooner_than_a_changed_one(dashboard: tuple[Federation, Asked]) -> None:
    made, asked = dashboard
    await made.aggregate(COUNT, **NARROW)
    await made.aggregate(COUNT, **NARROW)
    for held in made.app.state.runtime.own.kept.kept.all():
        held.took_s = 0.4
    before, started = asked["brigade"]["computed"], time.monotonic()
    await made.aggregate(COUNT, **NARROW)
    assert time.monotonic() - started >= 0.4
    assert asked["brigade"]["computed"] == before


async def test_what_was_true_a_moment_ago_is_not_asked_again_if_the_asker_says_max_age(
    beside_a_liar: tuple[Federation, Liar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.hub.federation.kept_states.FRESH_S", 60.0)
    made, liar = beside_a_liar
    liar.spoil = None
    first = await made.aggregate({**COUNT, "max_age": 60})
    asked = liar.asked
    second = await made.aggregate({**COUNT, "max_age": 60})
    assert liar.asked == asked
    assert entry(second, "430300/harbour")["status"] == "ok"
    assert second.json()["coverage"]["complete"] is True
    assert second.json()["coverage"]["as_of"] == first.json()["coverage"]["as_of"]
    assert total(await made.aggregate(COUNT)) == total(first)
    assert liar.asked > asked, "who does not say max_age is given what is true now"


async def test_a_kept_answer_stands_in_for_a_source_that_fails_and_says_so(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    made.app.state.runtime.own.client.forget("430300/harbour")
    liar.spoil = None
    question = {**COUNT, "filter": "units > 1", "deadline_ms": 500}
    first = await made.aggregate({**question, "deadline_ms": 20_000})
    for spoil, kind in ((silent, "source-timeout"), (instead(answer(b"", status="500 Oops")), "source-error")):
        liar.spoil = spoil
        forget_confirmations(made)
        stale = await made.aggregate({**question, "max_age": 3600})
        found = entry(stale, "430300/harbour")
        assert (found["status"], found["problem"]["type"]) == ("stale", f"/problems/{kind}")
        assert found["as_of"] == entry(first, "430300/harbour")["as_of"]
        assert stale.json()["coverage"]["complete"] is False
        assert total(stale) == total(first)
    strict = await made.aggregate({**question, "max_age": 3600, "strict": True})
    assert (strict.status_code, strict.json()["type"]) == (502, "/problems/incomplete-answer")
    assert "no fresh answer" in strict.json()["detail"]
    for otherwise, claims in (({}, {}), ({"max_age": 60}, {}), ({"max_age": 3600, "filter": "units > 2"}, {}), ({"max_age": 3600}, NARROW)):
        missing = await made.aggregate({**question, **otherwise}, **claims)
        assert entry(missing, "430300/harbour")["status"] not in ("ok", "stale"), (otherwise, claims)
    made.app.state.runtime.own.client.forget("430300/harbour")
    liar.spoil = instead(answer(b"", status="403 No"))
    assert entry(await made.aggregate({**question, "max_age": 3600}), "430300/harbour")["status"] == "denied"


def forget_confirmations(made: Federation) -> None:
    """As if the kept answers were ten minutes old, so that `max_age` does not spare the asking."""
    for held in made.app.state.runtime.own.kept.kept.all():
        held.true_at -= 600
