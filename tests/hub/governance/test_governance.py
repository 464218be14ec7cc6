"""The access record, for auditors and for the data's owners, only ever added to; and quality, added up over all sources."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from services.hub.governance.noting import Asking, Part
from services.hub.governance.qualities import hub_round
from services.hub.governance.recording import Accesses, write
from shared.caller import Caller
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, readings

SECRET = "13912345678"
CLEARED = {"clearance": {"grade": "general", "personal": "personal"}}
ITEMS = "/collections/hub.accesses/items"
QUALITY = "/collections/fire.calls/quality"


@pytest.fixture(scope="module")
async def asked(city: City) -> AsyncIterator[Federation]:
    """A federation of which a few things have been asked, all of them on the record."""
    async with federation(city, {"brigade": calls("a", 20), "harbour": calls("b", 10), "air": readings(10)}) as made:
        await ask(made)
        yield made


async def ask(made: Federation) -> None:
    """One question of each kind, by one client each."""
    get, post = made.client.get, made.client.post
    by: Any = lambda who, **claims: made.city.headers("hub", scope="hub:query", subject=f"client:{who}", **claims)  # noqa: E731
    question = {"measures": {"n": {"fn": "count"}, "mean": {"fn": "avg", "field": "response_s"}}, "by": {"district": "area:district"}, "deadline_ms": 20_000}
    answers = [
        await get(f"/collections/fire.calls/items?phone={SECRET}&kind=rescue&limit=3", headers=by("personal", **CLEARED)),
        await get(
            f"/collections/fire.calls/items?filter=kind='rescue' AND NOT (phone LIKE '{SECRET}' OR units > 3)&properties=id", headers=by("text", **CLEARED)
        ),
        await get(f"/collections/fire.calls/items?filter=phone='{SECRET}'", headers=by("uncleared")),
        await get(f"/collections/fire.calls/items?filter=kindd = '{SECRET}' (", headers=by("unreadable")),
        await post("/collections/fire.calls/aggregate", json=question | {"filter": "units > 2"}, headers=by("aggregate", purpose="inquiry")),
        await post(
            "/aggregate",
            json={
                "across": {
                    "f": {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}},
                    "a": {"dataset": "air.readings", "measures": {"n": {"fn": "count"}}},
                },
                "deadline_ms": 20_000,
            },
            headers=by("across"),
        ),
        await get("/collections/fire.calls/items/a-00001", headers=by("item")),
        await get("/collections/hub.areas/items?limit=1", headers=by("areas")),
        await get("/collections/fire.nothing/items", headers=by("nothing")),
        await get("/collections/fire.calls/items"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400, 200, 200, 200, 200, 404, 401]
    await written(made)


async def written(made: Federation) -> None:
    await write(made.app.state.runtime, made.app.state.runtime.own.accesses)


async def record(made: Federation, scope: str = "hub:audit", **params: Any) -> list[dict[str, Any]]:
    answer = await made.client.get(ITEMS, params={"limit": "1000"} | params, headers=made.city.headers("hub", scope=scope))
    assert answer.status_code == 200, answer.text
    return [{**feature["properties"], "asked": json.loads(feature["properties"]["asked"])} for feature in answer.json()["features"]]


async def of(made: Federation, who: str) -> list[dict[str, Any]]:
    return await record(made, subject=f"client:{who}", sortby="dataset")


async def test_a_question_is_on_record_with_who_what_why_and_whom_it_reached(asked: Federation) -> None:
    (row,) = await of(asked, "aggregate")
    shown = {name: row[name] for name in ("purpose", "kind", "dataset", "service", "fields", "answered", "missing", "status", "complete")}
    assert shown == {
        "purpose": "inquiry",
        "kind": "aggregate",
        "dataset": "fire.calls",
        "service": "fire",
        "fields": "area,response_s,units",
        "answered": "430300/brigade,430300/harbour",
        "missing": "",
        "status": 200,
        "complete": True,
    }
    assert row["asked"]["filter"] == {"op": ">", "args": [{"property": "units"}, 2]}
    assert row["rows"] == len([call for call in (*calls("a", 20), *calls("b", 10)) if call["units"] > 2])


async def test_each_dataset_of_a_question_has_a_row_and_they_share_the_request(asked: Federation) -> None:
    rows = await of(asked, "across")
    assert [row["dataset"] for row in rows] == ["air.readings", "fire.calls"]
    assert len({row["request"] for row in rows}) == 1
    assert [row["answered"] for row in rows] == ["430300/air", "430300/brigade,430300/harbour"]


async def test_values_of_personal_fields_are_never_kept_whatever_became_of_the_question(asked: Federation) -> None:
    (equal,) = await of(asked, "personal")
    assert equal["asked"]["equal"] == {"phone": "…", "kind": "rescue"}
    assert "phone" in equal["fields"].split(",")
    (text,) = await of(asked, "text")
    rescue, hidden = text["asked"]["filter"]["args"]
    assert rescue["args"][1] == "rescue"
    assert hidden["args"][0]["args"] == [{"op": "like", "args": [{"property": "phone"}, "…"]}, {"op": ">", "args": [{"property": "units"}, 3]}]
    assert text["fields"] == "id,kind,phone,units"
    for who in ("uncleared", "unreadable"):
        (refused,) = await of(asked, who)
        assert (refused["status"], refused["complete"], refused["rows"]) == (400, False, None)
    kept = asked.city.sql(asked.app.state.runtime.settings, "SELECT accesses::text AS row FROM accesses")
    assert len(kept) > 8
    assert not [row["row"] for row in kept if SECRET in row["row"]]


async def test_a_statement_is_kept_without_its_values_and_each_table_with_what_it_was_asked(asked: Federation) -> None:
    statement = f"SELECT c.id FROM fire.calls c JOIN air.readings r ON r.area = c.area WHERE c.phone = '{SECRET}' AND c.units > 2 -- for 13900000000"
    headers = asked.city.headers("hub", scope="hub:query", subject="client:sql", **CLEARED)
    answer = await asked.client.post("/sql", json={"sql": statement, "deadline_ms": 20_000}, headers=headers)
    assert answer.status_code == 200, answer.text
    await written(asked)
    air, fire = await of(asked, "sql")
    assert (air["kind"], air["dataset"], fire["dataset"]) == ("sql", "air.readings", "fire.calls")
    assert (fire["answered"], fire["complete"]) == ("430300/brigade,430300/harbour", True)
    assert {"phone", "units"} <= set(fire["fields"].split(","))
    assert "c.phone = ?" in fire["asked"]["statement"]
    assert not [row for row in (air, fire) if SECRET in str(row) or "13900000000" in str(row)]


async def test_items_are_kept_by_id_and_what_is_not_there_or_not_asked_in_a_name_is_not_kept(asked: Federation) -> None:
    (item,) = await of(asked, "item")
    assert (item["kind"], item["asked"]) == ("item", {"item": "a-00001"})
    assert [(row["rows"], row["answered"]) for row in await of(asked, "areas")] == [(0, "430300/hub")]
    assert not await of(asked, "nothing")


async def test_the_owner_of_data_sees_who_read_them_and_nothing_else(asked: Federation) -> None:
    for scope, services in (("fire:audit", {"fire"}), ("air:audit", {"air"}), ("fire:audit air:audit", {"fire", "air"})):
        assert {row["service"] for row in await record(asked, scope)} == services
        counted = {"measures": {"n": {"fn": "count"}}, "by": {"service": "service"}}
        answer = await asked.client.post("/collections/hub.accesses/aggregate", json=counted, headers=asked.city.headers("hub", scope=scope))
        assert {row[0] for row in answer.json()["rows"]} == services
    for scope in ("hub:query", "fire:read", "hub:admin"):
        answer = await asked.client.get(ITEMS, headers=asked.city.headers("hub", scope=scope))
        assert answer.status_code == 404
        listed = await asked.client.get("/collections", headers=asked.city.headers("hub", scope=scope))
        assert "hub.accesses" not in listed.text
    await written(asked)
    assert await record(asked, dataset="hub.accesses", status="404"), "who tried is on the record, too"


async def test_the_record_can_be_grouped_and_paged(asked: Federation) -> None:
    counted = {"measures": {"n": {"fn": "count"}}, "by": {"kind": "kind"}, "filter": "dataset = 'fire.calls'"}
    answer = await asked.client.post("/collections/hub.accesses/aggregate", json=counted, headers=asked.city.headers("hub", scope="hub:audit"))
    assert {tuple(row) for row in answer.json()["rows"]} == {("aggregate", 2), ("item", 1), ("records", 4), ("sql", 1)}
    found, address = [], f"{ITEMS}?limit=3&sortby=-at&filter=dataset = 'fire.calls'"
    while address:
        page = (await asked.client.get(address, headers=asked.city.headers("hub", scope="hub:audit"))).json()
        found += [feature["id"] for feature in page["features"]]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
    assert len(set(found)) == len(found) == 8


@pytest.mark.parametrize("statement", ["UPDATE {} SET subject = 'x'", "DELETE FROM {}", "TRUNCATE {}", "DROP TABLE {}"])
async def test_the_record_only_grows(asked: Federation, statement: str) -> None:
    settings = asked.app.state.runtime.settings
    (partition,) = asked.city.sql(settings, "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'accesses'::regclass")
    for table in ("accesses", partition["name"]):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            asked.city.sql(settings, statement.format(table), role="app")


async def test_months_go_whole_when_their_time_has_come_and_never_before(asked: Federation) -> None:
    settings, long_ago = asked.app.state.runtime.settings, datetime.now(UTC) - timedelta(days=300)
    sql: Any = partial(asyncio.to_thread, partial(asked.city.sql, settings))  # the hub goes on meanwhile: it may hold what is waited for
    await sql("SELECT make_access_partition($1::date)", long_ago.date().replace(day=1), role="app")
    months = "SELECT count(*) AS n FROM pg_inherits WHERE inhparent = 'accesses'::regclass"
    assert (await sql(months))[0]["n"] == 2
    await sql("SELECT forget_accesses(400)", role="app")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="at least 183 days"):
        await sql("SELECT forget_accesses(30)", role="app")
    assert (await sql(months))[0]["n"] == 2
    await sql("SELECT forget_accesses(183)", role="app")
    assert (await sql(months))[0]["n"] == 1


def asking(number: int) -> Asking:
    caller = Caller(f"client:many-{number}", "430300/hub", frozenset({"hub:query"}), ("*",))
    return Asking(caller=caller, kind="records", parts={"fire.calls": Part()}, status=200)


async def test_what_the_queue_cannot_take_is_counted_and_the_count_is_on_record(asked: Federation) -> None:
    accesses = Accesses(most=5)
    for number in range(12):
        accesses.put(asking(number))
    await write(asked.app.state.runtime, accesses)
    assert (accesses.lost, accesses.waiting) == (0, 0)
    (lost,) = await record(asked, kind="lost")
    assert (lost["rows"], lost["complete"]) == (7, False)
    assert len(await record(asked, filter="subject LIKE 'client:many-%'")) == 5


async def test_while_the_database_is_away_questions_are_answered_and_what_was_asked_waits(asked: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    accesses = Accesses(most=10)

    async def away(*_: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("services.hub.governance.recording._copy", away)
    for number in range(100, 108):
        accesses.put(asking(number))
    await write(asked.app.state.runtime, accesses)
    assert accesses.waiting == 8
    monkeypatch.undo()
    await asyncio.gather(*(write(asked.app.state.runtime, accesses) for _ in range(3)))
    assert accesses.waiting == 0
    assert len(await record(asked, filter="subject LIKE 'client:many-10_'")) == 8


async def test_the_hub_adds_up_what_its_sources_counted(asked: Federation) -> None:
    answer = await asked.client.get(QUALITY, headers=asked.headers())
    found = answer.json()
    rows = [*calls("a", 20), *calls("b", 10)]
    assert found["rows"] == len(rows)
    assert found["fields"]["response_s"]["filled"] == pytest.approx(sum(row["response_s"] is not None for row in rows) / len(rows), abs=1e-3)
    assert "phone" not in found["fields"]
    assert found["sources"].keys() == {"430300/brigade", "430300/harbour"}
    assert found["coverage"]["complete"]
    cleared = await asked.client.get(QUALITY, headers=asked.headers(clearance={"grade": "general", "personal": "personal"}))
    assert cleared.json()["fields"]["phone"]["filled"] == 1.0
    own = await asked.client.get("/collections/hub.areas/quality", headers=asked.headers())
    assert (own.status_code, own.json()["rows"]) == (200, 0)


async def test_whoever_may_not_see_every_row_is_told_no_score(asked: Federation) -> None:
    await hub_round(asked.app.state.runtime)
    narrow = asked.headers(areas=["430302"])
    assert (await asked.client.get(QUALITY, headers=narrow)).status_code == 403
    for page in ("/catalog", "/collections", "/collections/fire.calls"):
        told = [(await asked.client.get(page, headers=headers)).json() for headers in (asked.headers(), narrow)]
        found = [parts(page).get("fire.calls", page) for page in told]
        assert [("quality" in part or "dqv:hasQualityMeasurement" in part) for part in found] == [True, False], page


def parts(page: dict[str, Any]) -> dict[str, Any]:
    """What a page says of each dataset, by id."""
    listed = page.get("dcat:dataset") or page.get("collections") or [page]
    return {part.get("id") or part["dct:identifier"]: part for part in listed}


async def test_a_source_that_does_not_answer_is_named(asked: Federation) -> None:
    harbour = asked.source("430300/harbour")
    url, harbour.url = harbour.url, "http://127.0.0.1:1"
    try:
        found = (await asked.client.get(QUALITY, headers=asked.headers())).json()
    finally:
        harbour.url = url
    assert found["rows"] == 20
    assert not found["coverage"]["complete"]
    assert {source["source"]: source["status"] for source in found["coverage"]["sources"]} == {"430300/brigade": "ok", "430300/harbour": "error"}


async def test_a_refused_statement_is_on_record_with_the_tables_that_it_named(asked: Federation) -> None:
    headers = asked.city.headers("hub", scope="hub:query", subject="client:curious", clearance={"grade": "important", "personal": "none"})
    answer = await asked.client.post("/sql", json={"sql": f"SELECT id FROM fire.calls WHERE phone = '{SECRET}'"}, headers=headers)
    assert answer.status_code == 400
    await written(asked)
    (row,) = await of(asked, "curious")
    assert (row["kind"], row["dataset"], row["status"], row["answered"], row["rows"]) == ("sql", "fire.calls", 400, "", None)
    assert SECRET not in str(row)


async def test_one_question_that_the_database_cannot_take_costs_no_other_its_place(asked: Federation) -> None:
    accesses = Accesses()
    for number in range(200, 207):
        accesses.put(asking(number))
        accesses.put(
            Asking(caller=asking(number).caller, kind="records", parts={"fire.calls": Part()}, status=10**6, returned=2**70)
        ) if number == 203 else None
    await write(asked.app.state.runtime, accesses)
    assert (accesses.waiting, accesses.lost) == (0, 1)
    assert len(await record(asked, filter="subject LIKE 'client:many-20_'")) == 7
