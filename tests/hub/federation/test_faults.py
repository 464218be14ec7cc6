"""Sources that stop, lie, break off or never end: the hub answers in time, with what there is, and names them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fastapi import FastAPI

from shared.breaker import FAILURES
from shared.datasets.aggregate.columns import GROUP_ROWS
from shared.datasets.aggregate.states import States, read_states, write_states
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.hub.federation.liar import Liar, Spoil, altered, answer, broken_off, dripping, endless, instead, lying, silent
from tests.hub.federation.process import in_its_own_process
from tests.hub.federation.sectors import SERVICES, Federation, calls, federation, fill, sector, settings_of

FIRE, PORT = calls("f", 60), calls("p", 40)
QUESTION: dict[str, Any] = {
    "dataset": "fire.calls",
    "measures": {"calls": {"fn": "count"}, "units": {"fn": "sum", "field": "units"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}},
    "by": {"kind": "kind"},
    "deadline_ms": 1000,
}
LATEST_S = 3.0
"""The deadline, and a margin for a machine that is busy with other tests."""


@pytest.fixture(scope="module")
async def beside_a_liar(city: City) -> AsyncIterator[tuple[Federation, Liar]]:
    """A hub over an honest source, and one whose answers are spoilt on the way."""
    async with AsyncExitStack() as stack:
        app, url, _ = await stack.enter_async_context(sector(city, "harbour", PORT))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {"brigade": FIRE}, {"430300/harbour": liar.url}))
        made.apps["harbour"] = app
        await made.meet()
        await made.aggregate({**QUESTION, "deadline_ms": 20_000})  # the first answer loads libraries
        yield made, liar


def entry(answered: Any, source: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in answered.json()["coverage"]["sources"] if entry["source"] == source)
    return found


def lie(change: Callable[[States], States]) -> Spoil:
    """States that are sound on the wire and untrue."""
    return altered(lambda content: write_states(change(read_states(content))))


def with_column(name: str, value: Callable[[pa.ChunkedArray], Any]) -> Spoil:
    def change(states: States) -> States:
        place = states.table.schema.get_field_index(name)
        kind = states.table.schema.field(name)
        return replace(states, table=states.table.set_column(place, kind, pa.array(value(states.table[name]), kind.type)))

    return lie(change)


def claiming(source: str, dataset: str = "fire.calls") -> Spoil:
    return lie(lambda states: replace(states, answers=tuple(replace(answer, source=source, dataset=dataset) for answer in states.answers)))


FAULTS: dict[str, tuple[Spoil, str]] = {
    "truncated": (altered(lambda content: content[: len(content) // 2]), "error"),
    "without its end": (altered(lambda content: content[:-8]), "error"),
    "broken off": (broken_off, "error"),
    "no Arrow at all": (instead(answer(b"<html>It works!</html>", kind="text/html")), "error"),
    "empty": (instead(answer(b"")), "error"),
    "500": (instead(answer(b"", status="500 Oops")), "error"),
    "503": (instead(answer(b"", status="503 Busy")), "error"),
    "redirect": (instead(b"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "error"),
    "refuses the token": (instead(answer(b"", status="401 No")), "denied"),
    "refuses the question": (instead(answer(b'{"type": "/problems/unknown-field", "detail": "no"}', status="400 Bad")), "error"),
    "unknown version": (altered(lambda content: content.replace(b'"contract":"1"', b'"contract":"2"')), "error"),
    "in another's name": (claiming("430300/police"), "error"),
    "in the other source's name": (claiming("430300/brigade"), "error"),
    "of another dataset": (claiming("430300/harbour", "fire.crews"), "error"),
    "counts that contradict": (with_column("calls.count", lambda column: [value.as_py() + 1 for value in column]), "error"),
    "more rows than it says": (with_column(GROUP_ROWS, lambda column: [value.as_py() + 1 for value in column]), "error"),
    "negative counts": (with_column("units.count", lambda column: [-1] * len(column)), "error"),
    "a group twice": (lie(lambda states: replace(states, table=pa.concat_tables([states.table, states.table]))), "error"),
    "a column missing": (lie(lambda states: replace(states, table=states.table.drop_columns(["units.sum"]))), "error"),
    "silent": (silent, "timeout"),
    "dripping": (dripping, "timeout"),
    "endless": (endless, "error"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_source_that_fails_is_named_and_the_rest_is_exact(beside_a_liar: tuple[Federation, Liar], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.hub.federation.aggregates.STATES_BYTES", 1024 * 1024)
    made, liar = beside_a_liar
    liar.spoil, expected = FAULTS[fault]
    made.app.state.runtime.own.client.forget("430300/harbour")
    started = time.monotonic()
    answered = await made.aggregate(QUESTION if expected == "timeout" else {**QUESTION, "deadline_ms": 20_000})
    assert time.monotonic() - started < LATEST_S or expected != "timeout", "beyond the deadline and a margin"
    assert answered.status_code == 200, answered.text
    assert {row[0]: row[1:3] for row in answered.json()["rows"]} == {
        kind: [sum(row["kind"] == kind for row in FIRE), sum(row["units"] for row in FIRE if row["kind"] == kind)] for kind in {row["kind"] for row in FIRE}
    }
    assert answered.json()["coverage"]["complete"] is False
    assert entry(answered, "430300/brigade")["status"] == "ok"
    named = entry(answered, "430300/harbour")
    assert named["status"] == expected
    assert named["problem"]["type"].startswith("/problems/")
    assert named["problem"]["title"]


async def test_an_honest_answer_passes_the_same_way(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = None
    made.app.state.runtime.own.client.forget("430300/harbour")
    answered = await made.aggregate({**QUESTION, "deadline_ms": 20_000})
    assert answered.json()["coverage"]["complete"] is True
    assert sum(row[1] for row in answered.json()["rows"]) == len(FIRE) + len(PORT)


async def test_strict_is_an_error_with_the_coverage_unless_all_answered(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = instead(answer(b"", status="500 Oops"))
    made.app.state.runtime.own.client.forget("430300/harbour")
    refused = await made.aggregate({**QUESTION, "strict": True, "deadline_ms": 20_000})
    assert (refused.status_code, refused.json()["type"]) == (502, "/problems/incomplete-answer")
    assert entry(refused, "430300/harbour")["status"] == "error"
    liar.spoil = None
    assert (await made.aggregate({**QUESTION, "strict": True, "deadline_ms": 20_000})).status_code == 200


async def test_a_source_that_keeps_failing_is_skipped_and_taken_up_again(beside_a_liar: tuple[Federation, Liar], monkeypatch: pytest.MonkeyPatch) -> None:
    made, liar = beside_a_liar
    monkeypatch.setattr("shared.breaker.PAUSE_S", 1.5)  # many times what the other source's answer takes, at whose end the next question is asked
    made.app.state.runtime.own.client.forget("430300/harbour")
    liar.spoil = instead(answer(b"", status="500 Oops"))
    for _ in range(10 * FAILURES):  # a heartbeat in between begins the count anew
        if (status := entry(await made.aggregate(QUESTION), "430300/harbour")["status"]) == "skipped":
            break
    assert status == "skipped"
    liar.spoil = None
    for _ in range(100):
        if (await made.aggregate(QUESTION)).json()["coverage"]["complete"]:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the source was never taken up again")


async def test_when_nobody_answers_it_is_an_error_that_says_so(city: City) -> None:
    async with AsyncExitStack() as stack:
        app, url, _ = await stack.enter_async_context(sector(city, "harbour", PORT))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {}, {"430300/harbour": liar.url}))
        made.apps["harbour"] = app
        await made.meet()
        liar.spoil = silent
        late = await made.aggregate({**QUESTION, "deadline_ms": 300})
        assert (late.status_code, late.json()["type"]) == (504, "/problems/nobody-answered-in-time")
        liar.spoil = instead(answer(b"", status="500 Oops"))
        broken = await made.aggregate({**QUESTION, "deadline_ms": 20_000})
        assert (broken.status_code, broken.json()["type"]) == (502, "/problems/nobody-answered")
        assert entry(broken, "430300/harbour")["status"] == "error"
        liar.spoil = FAULTS["counts that contradict"][0]
        untrue = await made.aggregate({**QUESTION, "deadline_ms": 20_000})
        assert untrue.status_code == 502
        assert entry(untrue, "430300/harbour")["problem"]["type"] == "/problems/source-unsound"


async def test_across_keeps_the_place_of_a_dataset_nobody_answered_for(beside_a_liar: tuple[Federation, Liar], city: City) -> None:
    made, _ = beside_a_liar
    asked = {
        "across": {
            "places": {"dataset": "hub.areas", "measures": {"n": {"fn": "count"}}},
            "fires": {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}, "mean": {"fn": "avg", "field": "response_s"}}},
        },
        "deadline_ms": 20_000,
    }
    source = made.source("430300/brigade")
    address, source.url = source.url, "http://127.0.0.1:1"
    spoilt, beside_a_liar[1].spoil = beside_a_liar[1].spoil, instead(answer(b"", status="500 Oops"))
    try:
        answered = await made.aggregate(asked)
    finally:
        source.url, beside_a_liar[1].spoil = address, spoilt
        made.app.state.runtime.own.client.forget("430300/brigade")
    assert answered.status_code == 200, answered.text
    assert [column["name"] for column in answered.json()["columns"]] == ["places.n", "fires.calls", "fires.mean", "places.status", "fires.status"]
    assert answered.json()["rows"] == [[0, None, None, "ok", "unanswered"]]
    assert entry(answered, "430300/brigade")["status"] == "error"


async def test_a_sector_that_is_stopped_costs_the_deadline_once_and_then_nothing(city: City, tmp_path: Path) -> None:
    """SIGSTOP: the kernel still takes connections, and nobody answers."""
    service = SERVICES["harbour"]
    settings = settings_of(city, "harbour")
    filler: FastAPI = create_app(service, settings)
    async with running(filler):
        await fill(filler, PORT)
    with in_its_own_process(settings, tmp_path) as (process, url):
        async with federation(city, {"brigade": FIRE}, {"430300/harbour": url}) as made:
            made.apps["harbour"] = filler
            await made.meet()
            whole = await made.aggregate({**QUESTION, "deadline_ms": 10_000})
            assert whole.json()["coverage"]["complete"] is True, whole.text
            os.kill(process.pid, signal.SIGSTOP)
            started = time.monotonic()
            answered = await made.aggregate(QUESTION)
            assert time.monotonic() - started < LATEST_S
            assert answered.status_code == 200
            assert entry(answered, "430300/harbour")["status"] == "timeout"
            assert sum(row[1] for row in answered.json()["rows"]) == len(FIRE)
            os.kill(process.pid, signal.SIGCONT)
            again = await made.aggregate({**QUESTION, "deadline_ms": 10_000})
            assert again.json()["coverage"]["complete"] is True, again.text
            assert (await made.client.get("/readyz")).json()["status"] == "ready"
