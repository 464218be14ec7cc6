"""SQL over two sources of one dataset and one of another, beside the hub's own."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from services.hub.governance.recording import write
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


async def test_columns_and_rows_beyond_the_rights_do_not_exist(made: Federation) -> None:
    hidden = await ask(made, "SELECT phone FROM fire.calls")
    assert (hidden.status_code, hidden.json()["type"], hidden.json()["column"]) == (400, "/problems/sql-unknown-column", 8)
    assert "phone" not in (await ask(made, "DESCRIBE fire.calls")).text
    assert "phone" not in (await ask(made, "SELECT * FROM fire.calls LIMIT 1")).json()["columns"]
    cleared = {"clearance": {"grade": "important", "personal": "personal"}}
    assert (await ask(made, "SELECT count(phone) FROM fire.calls", claims=cleared)).json()["rows"] == [[len(ALL)]]
    near = {"areas": ["430302"]}
    for sql in ("SELECT count(*) FROM fire.calls", "SELECT count(*) FROM (SELECT id FROM fire.calls UNION SELECT id FROM fire.calls)"):
        answer = await ask(made, sql, claims=near)
        assert answer.json()["rows"] == [[sum(row["area"] == "430302" for row in ALL)]], sql
        assert answer.json()["coverage"]["limited"] is True
    assert (await ask(made, "SELECT 1 FROM fire.calls", claims={"scope": "hub:events"})).json()["type"] == "/problems/sql-unknown-table"
    assert (await made.client.post("/sql", json={"sql": "SELECT 1"})).status_code == 401


@pytest.mark.parametrize(
    "sql", ["SELECT 1 FROM {}", 'SELECT 1 FROM "{}"', "DESCRIBE {}", "WITH a AS (SELECT 1) SELECT * FROM a, {}", "SELECT getenv('x') FROM {}"]
)
async def test_who_names_a_dataset_that_is_hidden_is_on_record_and_told_what_an_unknown_one_tells(made: Federation, sql: str) -> None:
    hidden, subject = {"scope": "hub:events"}, f"client:curious-{len(sql)}"
    tried, unknown = [await ask(made, sql.format(name), claims=hidden | {"subject": subject}) for name in ("Fire.Calls", "Fire.Birds")]
    assert (tried.status_code, tried.json()["type"]) == (400, unknown.json()["type"])
    assert tried.json()["detail"] == unknown.json()["detail"].replace("birds", "calls")
    await write(made.app.state.runtime, made.app.state.runtime.own.accesses)
    kept = made.city.sql(made.app.state.runtime.settings, f"SELECT dataset, status FROM accesses WHERE subject = '{subject}'")
    assert [tuple(row) for row in kept] == [("fire.calls", 400)]


async def test_an_answer_has_types_digits_and_the_citys_times(made: Federation) -> None:
    sql = """SELECT TIMESTAMPTZ '2026-11-01 00:00:00Z' AS t, DATE '2026-11-01' AS d, 9007199254740993 AS i, 12.50::DECIMAL(20, 2) AS n,
        170141183460469231731687303715884105727::HUGEINT AS h, 0.5::DOUBLE AS f, NULL AS z, INTERVAL 90 MINUTE AS s, true AS b, 'x"y' AS v"""
    answer = await ask(made, sql)
    assert answer.status_code == 200, answer.text
    expected = '"2026-11-01T08:00:00+08:00","2026-11-01",9007199254740993,12.50,170141183460469231731687303715884105727,0.5,null,"P0M0DT5400S",true,"x\\"y"'
    assert expected in answer.text
    kinds = ["datetime", "date", "integer", "number", "integer", "number", "string", "string", "boolean", "string"]
    assert [column["type"] for column in answer.json()["columns"]] == kinds
    table = await ask(made, sql, f="csv")
    assert "2026-11-01T08:00:00+08:00" in table.text
    assert 'rel="coverage"' in table.headers["Link"]
    arrow = pa.ipc.open_stream((await ask(made, sql, f="arrow")).content)
    assert str(arrow.schema.field("t").type) == "timestamp[us, tz=Asia/Shanghai]"
    assert json.loads(arrow.schema.metadata[b"liandong"])["coverage"]["complete"] is True


async def test_explain_show_and_describe_ask_no_source(made: Federation) -> None:
    explained = (await ask(made, "EXPLAIN SELECT kind, count(*) FROM fire.calls WHERE units = 3 GROUP BY kind")).json()
    assert explained == (await ask(made, "SELECT kind, count(*) FROM fire.calls WHERE units = 3 GROUP BY kind", explain=True)).json()
    (scan,) = explained["scans"]
    assert (scan["asked"], scan["sources"], scan["by"]) == ("groups", ["430300/brigade", "430300/harbour"], {"_d0": "kind"})
    assert scan["filter"] == {"op": "=", "args": [{"property": "units"}, 3]}
    assert ["air.readings", "Air", "空气"] in (await ask(made, "SHOW TABLES")).json()["rows"]
    assert ["units", "integer", None, "Units", "车辆数"] in (await ask(made, "DESCRIBE fire.calls")).json()["rows"]


async def test_coverage_strict_and_sources(made: Federation) -> None:
    one = await ask(made, "SELECT count(*) FROM fire.calls", sources=["430300/brigade"])
    assert one.json()["rows"] == [[len(FIRE)]]
    rows = await ask(made, "SELECT _source, units FROM fire.calls")
    assert rows.json()["coverage"]["complete"] is True
    assert {(entry["source"], entry["rows"]) for entry in rows.json()["coverage"]["sources"]} == {("430300/brigade", len(FIRE)), ("430300/harbour", len(PORT))}
    source = made.source("430300/harbour")
    url, source.url = source.url, "http://127.0.0.1:9"
    try:
        sql = "SELECT count(*) FROM (SELECT id FROM fire.calls UNION ALL SELECT id FROM air.readings)"
        partial = await ask(made, sql)
        assert partial.json()["rows"] == [[len(FIRE) + len(AIR)]]
        assert partial.json()["coverage"]["complete"] is False
        assert (await ask(made, sql, strict=True)).status_code == 502
        assert (await ask(made, "SELECT count(*) FROM fire.calls", sources=["430300/harbour"])).status_code == 502
    finally:
        source.url = url


async def test_a_narrow_scan_bounds_the_one_joined_to_it(made: Federation) -> None:
    some = [row["area"] for row in AIR if row["id"] in ("r-00001", "r-00002")]
    answer = await ask(made, "SELECT count(*) FROM fire.calls c JOIN air.readings r ON r.area = c.area WHERE r.id IN ('r-00001', 'r-00002')")
    assert answer.json()["rows"] == [[sum(row["area"] == area for row in ALL for area in some)]]
    asked = {entry["dataset"]: 0 for entry in answer.json()["coverage"]["sources"]}
    for entry in answer.json()["coverage"]["sources"]:
        asked[entry["dataset"]] += entry["rows"]
    assert asked == {"air.readings": 2, "fire.calls": sum(row["area"] in some for row in ALL)}


async def differing(made: Federation, seed: int, count: int) -> list[str]:
    """The random statements to which the hub gives something else than one DuckDB that holds all rows, with both answers."""
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
    return wrong


async def test_random_sql_gives_what_one_database_with_all_rows_gives(made: Federation) -> None:
    assert not await differing(made, 2026, 25)


@pytest.mark.proof
async def test_five_hundred_random_statements(made: Federation) -> None:
    assert not await differing(made, 11, 500)
