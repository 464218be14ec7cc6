"""SQL over two sources of one dataset and one of another, beside the hub's own."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, readings
from tests.hub.sql.by_duckdb import database, rows_of, same
from tests.hub.sql.random_sql import statement

FIRE, PORT, AIR = calls("f", 900), calls("p", 600), readings(300)
ALL = FIRE + PORT


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": FIRE, "harbour": PORT, "air": AIR}) as found:
        yield found


async def ask(made: Federation, sql: str, *, f: str = "json", claims: dict[str, Any] | None = None, **question: Any) -> httpx.Response:
    return await made.client.post(f"/sql?f={f}", json={"sql": sql, "deadline_ms": 20_000, **question}, headers=made.headers(**(claims or {})))


async def test_rows_of_both_sources_are_counted(made: Federation) -> None:
    answer = await ask(made, "SELECT count(*) AS n, max(response_s) AS worst FROM fire.calls")
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == [[len(ALL), max(row["response_s"] for row in ALL if row["response_s"] is not None)]]


async def agree(made: Federation, seed: int, count: int) -> None:
    """Random SQL at the hub gives what one DuckDB gives that holds all rows."""
    calls_ = [{**row, "_source": f"430300/{name}"} for name, rows in (("brigade", FIRE), ("harbour", PORT)) for row in rows]
    reference = database({"fire.calls": calls_, "air.readings": AIR})
    chance = random.Random(seed)
    wrong = []
    for _ in range(count):
        sql = statement(chance)
        expected = rows_of(reference.sql(sql).to_arrow_table())
        answer = await ask(made, sql, f="arrow", limit=100_000)
        if answer.status_code != 200:
            wrong.append(f"{sql}\n    {answer.text}")
            continue
        found = rows_of(pa.ipc.open_stream(answer.content).read_all())
        if not same(found, expected, ordered="ORDER BY" in sql and "OVER" not in sql):
            plan = (await ask(made, f"EXPLAIN {sql}")).json()
            wrong.append(f"{sql}\n    {len(found)} {found[:3]}\n    {len(expected)} {expected[:3]}\n    {plan}")
    assert not wrong, f"{len(wrong)} of {count} differ:\n" + "\n".join(wrong[:6])


async def test_random_sql_gives_what_one_database_with_all_rows_gives(made: Federation) -> None:
    await agree(made, 2026, 40)


@pytest.mark.proof
async def test_five_hundred_random_statements(made: Federation) -> None:
    await agree(made, 11, 500)
