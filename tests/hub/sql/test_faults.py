"""SQL beside a source that is stopped, dead or breaks off: the answer rests on the others and says what is missing, within its time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.city import City
from tests.hub.federation.liar import Liar, Spoil, altered, answer, broken_off, dripping, instead, lying, silent
from tests.hub.federation.sectors import Federation, calls, federation, readings, sector
from tests.hub.federation.test_stream_faults import endless_rows, half_then_silent

FIRE, PORT, AIR = calls("f", 300), calls("p", 3000), readings(50)
FAULTS: dict[str, Spoil] = {
    "stopped": silent,
    "stopped half way": half_then_silent,
    "dripping": dripping,
    "broken off": broken_off,
    "without its end": altered(lambda content: content[:-8]),
    "without end": endless_rows,
    "500": instead(answer(b"", status="500 Oops")),
}
QUESTIONS = {
    "groups": "SELECT kind, count(*) FROM fire.calls GROUP BY kind",
    "rows": "SELECT count(*) FROM (SELECT DISTINCT id FROM fire.calls)",
    "a join": "SELECT count(*) FROM air.readings r LEFT JOIN fire.calls c ON r.area = c.area",
    "a bound join": "SELECT count(*) FROM fire.calls c JOIN air.readings r ON r.area = c.area WHERE c.kind IN ('rescue', 'none')",
}


@pytest.fixture(scope="module")
async def beside_a_liar(city: City) -> AsyncIterator[tuple[Federation, Liar]]:
    async with AsyncExitStack() as stack:
        _, url, _ = await stack.enter_async_context(sector(city, "harbour", PORT))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {"brigade": FIRE, "air": AIR}, {"430300/harbour": liar.url}))
        yield made, liar


async def ask(made: Federation, sql: str, **question: Any) -> httpx.Response:
    made.app.state.runtime.own.client.forget("430300/harbour")  # no breaker between the cases
    return await made.client.post("/sql", json={"sql": sql, "deadline_ms": 2500, **question}, headers=made.headers())


CASES = [("rows", fault) for fault in FAULTS] + [
    (question, fault) for question in ("groups", "a join", "a bound join") for fault in ("stopped", "stopped half way")
]


@pytest.mark.parametrize(("question", "fault"), CASES)
async def test_the_answer_is_that_of_the_others_and_says_so(beside_a_liar: tuple[Federation, Liar], question: str, fault: str) -> None:
    made, liar = beside_a_liar
    liar.spoil = None
    assert (await ask(made, QUESTIONS[question], deadline_ms=20_000)).json()["coverage"]["complete"] is True
    liar.spoil = FAULTS[fault]
    found = await ask(made, QUESTIONS[question])
    assert found.status_code == 200, found.text
    entries = {entry["source"]: entry for entry in found.json()["coverage"]["sources"]}
    assert found.json()["coverage"]["complete"] is False
    assert (entries["430300/harbour"]["status"] in ("error", "timeout"), entries["430300/brigade"]["status"]) == (True, "ok")
    if question == "rows":
        assert len(FIRE) <= found.json()["rows"][0][0] <= len(FIRE) + entries["430300/harbour"].get("rows", 0)


@pytest.mark.parametrize("fault", ["stopped", "broken off"])
async def test_under_strict_it_is_refused(beside_a_liar: tuple[Federation, Liar], fault: str) -> None:
    made, liar = beside_a_liar
    liar.spoil = FAULTS[fault]
    refused = await ask(made, QUESTIONS["rows"], strict=True)
    assert (refused.status_code, refused.json()["type"]) == (502, "/problems/incomplete-answer")


async def test_a_source_that_is_gone_is_named(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = None
    source = made.source("430300/harbour")
    url, source.url = source.url, "http://127.0.0.1:9"
    try:
        for sql in QUESTIONS.values():
            found = await ask(made, sql)
            assert (found.status_code, found.json()["coverage"]["complete"]) == (200, False)
    finally:
        source.url = url
