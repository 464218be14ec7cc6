"""What statements may take: places, time, memory; and that nothing of one is left when its client is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.hub.sql.pool import Limits, Workers
from services.hub.sql.problems import SqlBusy
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, readings

FIRE, PORT = calls("f", 900), calls("p", 600)
LONG = "SELECT count(*) FROM fire.calls a, fire.calls b, fire.calls c, fire.calls d WHERE a.units + b.units + c.units + d.units = 5.5"


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": FIRE, "harbour": PORT, "air": readings(50)}) as found:
        yield found


def workers(made: Federation) -> Workers:
    found: Workers = made.app.state.runtime.own.sql
    return found


async def ask(made: Federation, sql: str, deadline_ms: int = 20_000, **question: object) -> httpx.Response:
    return await made.client.post("/sql", json={"sql": sql, "deadline_ms": deadline_ms, **question}, headers=made.headers(), timeout=60)


async def most_at_once(made: Federation, asked: list[asyncio.Task[httpx.Response]]) -> int:
    """How many processes computed at the same time, at most, until all answers were there."""
    most = 0
    while not all(task.done() for task in asked):
        most = max(most, len(workers(made).running))
        await asyncio.sleep(0.01)
    return most


async def crowd(made: Federation, many: int, deadline_ms: int) -> list[int]:
    """The statuses of so many heavy statements at once, beside which a light one was answered."""
    await ask(made, "SELECT 1")
    heavy = [asyncio.create_task(ask(made, LONG, deadline_ms)) for _ in range(many)]
    most = asyncio.create_task(most_at_once(made, heavy))
    await asyncio.sleep(0.8)
    light = await ask(made, "SELECT kind, count(*) AS n FROM fire.calls GROUP BY kind ORDER BY kind")
    assert light.status_code == 200, light.text
    assert sum(row[1] for row in light.json()["rows"]) == len(FIRE) + len(PORT)
    answers = await asyncio.gather(*heavy)
    statuses = [answer.status_code for answer in answers]
    assert 1 <= await most <= workers(made).limits.heavy + 1, "the light one may compute beside them"
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers if answer.status_code == 429)
    assert not workers(made).running
    return statuses


async def test_later_heavy_statements_are_told_to_come_again_and_light_ones_are_answered(made: Federation) -> None:
    assert set(await crowd(made, 12, 2000)) == {429, 504}


@pytest.mark.proof
async def test_fifty_heavy_clients_at_once(made: Federation) -> None:
    assert set(await crowd(made, 50, 8000)) == {429, 504}


async def test_the_process_ends_when_its_client_leaves(made: Federation, caplog: pytest.LogCaptureFixture) -> None:
    asking = asyncio.create_task(ask(made, LONG))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if running := set(workers(made).running):
            break
    asking.cancel()
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not workers(made).running:
            break
    assert running
    assert not workers(made).running
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not [record for record in caplog.records if record.exc_info], "who leaves is no error"


async def test_too_much_memory_is_said(made: Federation) -> None:
    answer = await ask(made, "SELECT string_agg(a.id || b.id || c.id, ',') FROM fire.calls a, fire.calls b, fire.calls c")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/sql-too-large")
    assert (await ask(made, "SELECT count(*) FROM fire.calls")).json()["rows"] == [[1500]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TIMESTAMPTZ 'infinity'",
        "SELECT DATE '290000-01-01'",
        "SELECT DATE '0044-01-01 (BC)'",
        "SELECT max(units, 3) FROM fire.calls",
        "SELECT (1, 2)",
        f"SELECT regexp_replace('{'a' * 5000}', '', '{'b' * 5000}', 'g')",
    ],
)
async def test_what_has_no_form_is_refused_and_never_an_internal_error(made: Federation, sql: str) -> None:
    for form in ("json", "csv"):
        answer = await made.client.post(f"/sql?f={form}", json={"sql": sql}, headers=made.headers())
        assert answer.status_code == 422, f"{sql[:50]} {form}: {answer.text[:300]}"


async def test_no_rows_are_no_error(made: Federation) -> None:
    assert (await ask(made, "SELECT id FROM fire.calls LIMIT 0")).json()["rows"] == []


async def test_one_asker_leaves_a_place_for_others(made: Federation) -> None:
    pool = Workers(Limits(heavy=3, patience_s=0.05))
    async with pool.place("li", light=False), pool.place("li", light=False):
        with pytest.raises(SqlBusy):
            async with pool.place("li", light=False):
                pass
        async with pool.place("wang", light=False), pool.place("li", light=True):
            pass
    async with pool.place("li", light=False):
        pass


async def test_the_process_goes_first_when_memory_ends(made: Federation) -> None:
    asking = asyncio.create_task(ask(made, LONG, 1500))
    await asyncio.sleep(0.7)
    (pid,) = workers(made).running
    process = Path(f"/proc/{pid}")
    assert (process / "oom_score_adj").read_text().strip() == "1000"
    await asking


async def test_a_large_answer_streams_and_ends_with_its_coverage(made: Federation) -> None:
    answer = await ask(made, "SELECT a.id, b.id, a.received_at FROM fire.calls a, fire.calls b WHERE a.kind = b.kind", limit=60_000)
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert (len(answer.json()["rows"]), answer.json()["truncated"], answer.json()["coverage"]["complete"]) == (60_000, True, True)


async def test_the_process_is_cut_off(made: Federation) -> None:
    await ask(made, "SELECT 1")
    assert "descriptors" in workers(made).isolation
    explained = await ask(made, "EXPLAIN SELECT 1")
    assert explained.json()["isolation"] == list(workers(made).isolation)
