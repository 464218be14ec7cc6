"""Whoever writes a person's data into a question, in whatever place and form: the record keeps that it was asked, and not what was looked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.hub.governance.domain import REDACTED, redacted
from services.hub.governance.statements import shape_of
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation
from tests.hub.governance.test_governance import CLEARED, of, record, written

SECRET = "13912345678"
ITEMS = "/collections/fire.calls/items"
FIELDS = ("id", "kind", "phone", "units")
COUNT = {"measures": {"n": {"fn": "count"}}}
TEXTS = [
    f"phone = '{SECRET}'",
    f'phone = "{SECRET}"',
    f'phone = "n{SECRET}"',
    f"phone = n{SECRET}",
    f"phone LIKE '%{SECRET}%'",
    f"phone IN ('1', '{SECRET}')",
    f"phone BETWEEN '0' AND '{SECRET}'",
    f"CASEI(phone) LIKE CASEI('{SECRET}')",
    f"CASEI(phone) IN (CASEI('{SECRET}'))",
    f"n{SECRET}(phone)",
    f"f(phone, '{SECRET}') = 1",
    f"NOT (kind = 'rescue' OR NOT (phone = '{SECRET}'))",
    f"kind = phone OR phone <> '{SECRET}' AND units > 1",
    f"T_AFTER(phone, TIMESTAMP('{SECRET}'))",
    f"kind = 'rescue' AND '{SECRET}' = phone",
    f"phone = '{SECRET}' AND (",
    f"phone IS NULL OR phone = {SECRET}",
]
TREES: list[Any] = [
    {"op": "=", "args": [{"property": "phone"}, SECRET]},
    {"op": "=", "args": [{"property": SECRET}, "rescue"]},
    {"op": SECRET, "args": [{"property": "phone"}, "1"]},
    {"op": "=", "args": [{"property": "kind", "note": SECRET}, "rescue"]},
    {"op": "=", "args": [{"property": "kind"}, "rescue"], "note": SECRET},
    {"op": "=", "args": [{"property": "kind"}, {"note": SECRET}]},
    {"op": "in", "args": [{"op": "casei", "args": [{"property": "phone"}]}, ["1", {"op": "casei", "args": [SECRET]}]]},
    {"op": "not", "args": [{"op": "and", "args": [SECRET, {"property": "phone"}]}]},
    {"op": "s_intersects", "args": [{"property": "geometry"}, {"type": SECRET}, {"property": "phone"}]},
    {"phone": SECRET},
    [SECRET],
    SECRET,
]
QUERIES = [
    f"phone={SECRET}",
    f"phone=1&{SECRET}=2",
    f"kind=rescue&{SECRET}",
    f"sortby=-phone,{SECRET}",
    f"properties=id,{SECRET}",
    f"stream=true&filter=phone='{SECRET}'",
    f"stream=true&f=csv&phone={SECRET}",
    f"resultType=hits&filter=phone LIKE '{SECRET}'",
    f"filter=phone='1'&filter=phone='{SECRET}'",
    f"filter-lang={SECRET}&filter=phone = '1'",
    f"filter-lang=cql2-json&filter=phone='{SECRET}'",
    f"filter=phone='1'&filter-crs={SECRET}&token={SECRET}",
]
QUESTIONS: list[dict[str, Any]] = [
    {**COUNT, "filter": f"phone = '{SECRET}'"},
    {**COUNT, "filter": {"op": "=", "args": [{"property": "phone"}, SECRET]}},
    {"measures": {"n": {"fn": "max", "field": SECRET}}},
    {**COUNT, "by": {"who": SECRET}},
    {**COUNT, "by": {"who": f"area:{SECRET}"}},
    {**COUNT, "by": {"who": "phone"}, "having": f"who = '{SECRET}'"},
    {**COUNT, "by": {"who": "phon"}, "having": f"who = '{SECRET}'"},
    {**COUNT, "by": {"who": f"time:{SECRET}"}, "having": {"op": "=", "args": [{"property": "who"}, SECRET]}},
    {"measures": {"n": {"fn": "min", "field": "phon"}}, "having": f"n = '{SECRET}'"},
    {"measures": {"n": {"fn": "max", "field": "phone"}}, "having": f"n >= '{SECRET}'"},
    {**COUNT, "having": f'n > 1 AND n < "{SECRET}"'},
    {**COUNT, "sortby": [f"-{SECRET}"]},
]
STATEMENTS = [
    f"SELECT id FROM fire.calls WHERE phone = '{SECRET}'",
    f'SELECT id FROM fire.calls WHERE phone = "{SECRET}"',
    f"SELECT id FROM fire.calls WHERE phone = n{SECRET}",
    f"SELECT id FROM fire.calls WHERE phone = $${SECRET}$$",
    f"EXPLAIN SELECT id FROM fire.calls WHERE phone = '{SECRET}'",
    f"SELECT id /* {SECRET} */ FROM fire.calls -- {SECRET}",
    f"SELECT id FROM fire.calls WHERE phone IN (SELECT phone FROM fire.calls WHERE phone LIKE '%{SECRET}%' LIMIT 3)",
    f"SELECT id, {{'{SECRET}': 1}} FROM fire.calls",
    f"SELECT id FROM fire.calls WHERE n{SECRET}(phone)",
    f"SELECT * EXCLUDE (\"{SECRET}\") FROM fire.calls WHERE phone = '{SECRET}'",
    f"WITH c AS (SELECT phone FROM fire.calls) SELECT count(*) AS n FROM c WHERE c.phone ~ '{SECRET}' GROUP BY phone HAVING max(phone) > '{SECRET}'",
    f"SELECT id FROM fire.calls WHERE phone = '{SECRET}",
]


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": calls("a", 30_000)}) as found:
        yield found


def by(made: Federation, who: str, **claims: Any) -> dict[str, str]:
    return made.city.headers("hub", scope="hub:query", subject=f"client:{who}", **claims)


async def test_no_form_of_a_question_leaves_what_was_looked_for_on_record(made: Federation) -> None:
    get, post, asked = made.client.get, made.client.post, 0
    for who, claims in (("cleared", CLEARED), ("uncleared", {})):
        headers = by(made, who, **claims)
        for text in TEXTS:
            for end in ("", "&stream=true&limit=2", "&sortby=-phone,id&limit=2"):
                await get(f"{ITEMS}?filter={text}{end}", headers=headers)
                asked += 1
        for tree in TREES:
            await get(ITEMS, params={"filter": json.dumps(tree), "filter-lang": "cql2-json"}, headers=headers)
        for query in QUERIES:
            await get(f"{ITEMS}?{query}", headers=headers)
        for question in QUESTIONS:
            assert (await post("/collections/fire.calls/aggregate", json=question, headers=headers)).status_code < 500
        for statement in STATEMENTS:
            assert (await post("/sql", json={"sql": statement, "deadline_ms": 20_000}, headers=headers)).status_code < 500
        await get(f"{ITEMS}/a-00001?properties={SECRET}", headers=headers)
        asked += len(TREES) + len(QUERIES) + len(QUESTIONS) + 1
    await written(made)
    kept = [row["row"] for row in made.city.sql(made.app.state.runtime.settings, "SELECT accesses::text AS row FROM accesses")]
    leaks = [row for row in kept if SECRET in row]
    assert not leaks, leaks[0]
    rows = [row for who in ("cleared", "uncleared") for row in await of(made, who)]
    assert len([row for row in rows if row["kind"] != "sql"]) == asked, "and each question is there, also those that were refused"
    assert {200, 400} <= {row["status"] for row in rows}


async def test_what_may_be_kept_is_kept_as_it_was_asked(made: Federation) -> None:
    question = {
        "measures": {"n": {"fn": "count"}, "mean": {"fn": "avg", "field": "response_s"}},
        "by": {"district": "area:district", "kind": "kind"},
        "filter": "units > 2 AND S_INTERSECTS(geometry, BBOX(112, 27, 113, 28)) AND received_at > TIMESTAMP('2026-11-01T00:00:00Z')",
        "from": "2026-11-01T00:00:00Z",
        "having": "n > 5 AND kind = 'rescue'",
        "sortby": ["-n"],
    }
    assert (await made.client.post("/collections/fire.calls/aggregate", json=question, headers=by(made, "plain"))).status_code == 200
    await made.client.get(f"{ITEMS}?sortby=-units,id&properties=id,units&limit=1", headers=by(made, "plainly"))
    await written(made)
    (row,), (page,) = await of(made, "plain"), await of(made, "plainly")
    asked = row["asked"]
    assert (asked["by"], asked["sortby"], asked["measures"]["mean"]["field"]) == (question["by"], ["-n"], "response_s")
    assert REDACTED not in json.dumps(asked, ensure_ascii=False)
    assert asked["having"]["args"][1]["args"][1] == "rescue"
    assert set(row["fields"].split(",")) == {"area", "geometry", "kind", "received_at", "response_s", "units"}
    assert (page["asked"]["sortby"], page["asked"]["properties"]) == ("-units,id", "id,units")


async def test_a_client_that_leaves_in_the_middle_is_on_record_with_the_rows_that_left(made: Federation) -> None:
    headers = by(made, "leaver")
    async with made.client.stream("GET", f"{ITEMS}?stream=true&f=geojson", headers=headers) as answer:
        assert answer.status_code == 200
        taken = 0
        async for piece in answer.aiter_raw():
            if (taken := taken + len(piece)) > 200_000:
                break
    async with asyncio.timeout(30):
        while not (rows := await record(made, subject="client:leaver")):
            await asyncio.sleep(0.2)
            await written(made)
    (row,) = rows
    assert (row["kind"], row["dataset"], row["answered"], row["status"]) == ("stream", "fire.calls", "430300/brigade", 200)
    assert 0 < row["rows"] < 30_000
    assert not row["complete"]


async def test_a_statement_that_is_left_is_on_record_and_not_called_complete(made: Federation) -> None:
    heavy = "SELECT count(*) AS n FROM fire.calls a JOIN fire.calls b ON a.kind = b.kind JOIN fire.calls c ON b.kind = c.kind WHERE a.units + c.units > 3"
    working = asyncio.create_task(made.client.post("/sql", json={"sql": heavy, "deadline_ms": 60_000}, headers=by(made, "impatient")))
    await asyncio.sleep(2)
    working.cancel()
    async with asyncio.timeout(30):
        while not (rows := await record(made, subject="client:impatient")):
            await asyncio.sleep(0.2)
            await written(made)
    assert [(row["kind"], row["dataset"], row["complete"]) for row in rows] == [("sql", "fire.calls", False)]


def test_names_that_nobody_declared_are_values_in_disguise() -> None:
    assert redacted({"op": "=", "args": [{"property": "phone"}, {"property": SECRET}]}, {"units"}, FIELDS) == {
        "op": "=",
        "args": [{"property": "phone"}, {"property": REDACTED}],
    }
    shape, fields = shape_of(f'SELECT id AS call FROM fire.calls c WHERE c.phone = "{SECRET}" AND units > 3 ORDER BY call', FIELDS)
    assert shape == 'SELECT id AS call FROM fire.calls AS c WHERE c.phone = "…" AND units > ? ORDER BY call'
    assert fields == {"id", "phone", "units"}
    assert shape_of("DELETE FROM fire.calls", FIELDS) == (REDACTED, set())
