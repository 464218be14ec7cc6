"""Rows of several sources as if they were one: merged pages, rights, forms, failures."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pyarrow as pa
import pytest
from sqlalchemy import delete, insert

from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation

BRIGADE, HARBOUR = calls("f", 130), calls("p", 90)
ALL = BRIGADE + HARBOUR


@pytest.fixture(scope="module")
async def two(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": BRIGADE, "harbour": HARBOUR}) as made:
        yield made


async def get(made: Federation, path: str, **claims: Any) -> httpx.Response:
    return await made.client.get(path, headers=made.headers(**claims))


async def all_pages(made: Federation, path: str, **claims: Any) -> list[dict[str, Any]]:
    """The features of all pages, by their next links."""
    found: list[dict[str, Any]] = []
    address: str | None = path
    for _ in range(300):
        answer = await get(made, address or "", **claims)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["numberReturned"] == len(page["features"])
        found += page["features"]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        if address is None:
            return found
    pytest.fail("the pages never end")


def rank(row: dict[str, Any], field: str, down: bool) -> Any:
    """Nulls last, ties by source and key."""
    value = row[field]
    source = "brigade" if row["id"].startswith("f") else "harbour"
    number = 0 if value is None else (-value if down else value)
    return (value is None, number, source, row["id"])


@pytest.mark.parametrize(("limit", "sort"), [(7, ""), (50, "-response_s"), (13, "response_s"), (1000, "units"), (9, "-units")])
async def test_every_row_of_every_source_comes_once_and_in_order(two: Federation, limit: int, sort: str) -> None:
    query = f"/collections/fire.calls/items?limit={limit}" + (f"&sortby={sort}" if sort else "")
    found = [feature["id"] for feature in await all_pages(two, query)]
    field, down = sort.removeprefix("-"), sort.startswith("-")
    expected = sorted(ALL, key=lambda row: rank(row, field, down)) if sort else ALL
    assert found == [row["id"] for row in expected]


async def test_sorting_by_text_and_time_agrees_across_sources(two: Federation) -> None:
    found = await all_pages(two, "/collections/fire.calls/items?limit=40&sortby=kind,-received_at")
    keys = [(feature["properties"]["kind"], feature["properties"]["received_at"]) for feature in found]
    expected = sorted(((row["kind"], row["received_at"]) for row in ALL), key=lambda pair: (pair[0], -pair[1].timestamp()))
    assert [kind for kind, _ in keys] == [kind for kind, _ in expected]
    assert [moment for _, moment in keys] == [moment.isoformat().replace("+00:00", "Z") for _, moment in expected]
    assert len(found) == len(ALL)


async def test_filters_boxes_and_times_are_the_sources_to_answer(two: Federation) -> None:
    wanted = [row["id"] for row in ALL if row["kind"] == "rescue" and row["units"] > 4]
    assert [feature["id"] for feature in await all_pages(two, "/collections/fire.calls/items?filter=kind='rescue' AND units>4")] == wanted
    by_property = await all_pages(two, "/collections/fire.calls/items?kind=rescue&limit=1000")
    assert len(by_property) == sum(row["kind"] == "rescue" for row in ALL)
    box = await all_pages(two, "/collections/fire.calls/items?bbox=112.9,27.8,112.95,27.9&limit=1000")
    assert len(box) == sum(row["lon"] <= 112.95 for row in ALL)
    day = await all_pages(two, "/collections/fire.calls/items?datetime=2026-11-02T00:00:00Z/2026-11-02T23:59:59Z&limit=1000")
    assert len(day) == sum(row["received_at"].day == 2 for row in ALL)


async def test_the_number_of_all_rows_comes_on_request(two: Federation) -> None:
    hits = (await get(two, "/collections/fire.calls/items?resultType=hits&filter=kind='rescue'")).json()
    assert (hits["numberMatched"], hits["features"]) == (sum(row["kind"] == "rescue" for row in ALL), [])
    whole = (await get(two, "/collections/fire.calls/items?limit=1000")).json()
    assert whole["numberMatched"] == len(ALL)
    assert "numberMatched" not in (await get(two, "/collections/fire.calls/items?limit=5")).json()
    counted = (await get(two, "/collections/fire.calls/items?limit=5&numberMatched=true&filter=kind='rescue'")).json()
    assert (counted["numberMatched"], counted["numberReturned"]) == (hits["numberMatched"], 5)
    assert (await get(two, "/collections/fire.calls/items?numberMatched=1")).status_code == 400


async def test_a_page_says_what_it_rests_on(two: Federation) -> None:
    page = (await get(two, "/collections/fire.calls/items?limit=5")).json()
    assert page["coverage"]["complete"] is True
    found = {entry["source"]: (entry["status"], entry["rows"]) for entry in page["coverage"]["sources"]}
    assert found == {
        "430300/brigade": ("ok", 5),
        "430300/harbour": ("ok", 0),
    }
    assert {link["rel"] for link in page["links"]} == {"self", "next", "collection", "alternate"}


async def test_csv_and_arrow_carry_the_same_rows_and_their_coverage(two: Federation) -> None:
    path = "/collections/fire.calls/items?sortby=-response_s&limit=25"
    features = (await get(two, path)).json()["features"]
    answer = await get(two, f"{path}&f=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [feature["id"] for feature in features]
    assert [float(row["response_s"]) for row in rows] == [feature["properties"]["response_s"] for feature in features]
    assert 'rel="coverage"' in answer.headers["link"] and 'rel="next"' in answer.headers["link"]
    arrow = pa.ipc.open_stream((await get(two, f"{path}&f=arrow")).content).read_all()
    assert arrow["id"].to_pylist() == [feature["id"] for feature in features]
    assert [arrow.schema.field(name).type for name in ("received_at", "units", "lon")] == [pa.timestamp("us", "UTC"), pa.int64(), pa.float64()]
    assert json.loads(arrow.schema.metadata[b"liandong"])["coverage"]["complete"] is True
    assert (await get(two, "/collections/fire.calls/items?f=parquet")).status_code == 406


async def test_a_row_is_found_in_whichever_source_has_it(two: Federation) -> None:
    for row in (BRIGADE[3], HARBOUR[5]):
        answer = await get(two, f"/collections/fire.calls/items/{row['id']}")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["id"], answer.json()["properties"]["units"]) == (row["id"], row["units"])
        assert answer.json()["links"][0]["href"].startswith(str(two.client.base_url))
    missing = await get(two, "/collections/fire.calls/items/nothing")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")
    assert (await get(two, f"/collections/fire.calls/items/{HARBOUR[5]['id']}?f=csv")).text.count("\n") == 2
    assert (await get(two, f"/collections/fire.calls/items/{HARBOUR[5]['id']}?limit=4")).status_code == 400


async def test_rights_hold_in_rows_fields_filters_and_tokens(two: Federation) -> None:
    narrow = await all_pages(two, "/collections/fire.calls/items?limit=20", areas=["430302"])
    assert {feature["id"] for feature in narrow} == {row["id"] for row in ALL if row["area"] == "430302"}
    assert all("phone" not in feature["properties"] for feature in narrow)
    hidden = await get(two, "/collections/fire.calls/items?filter=phone='1'")
    missing = await get(two, "/collections/fire.calls/items?filter=fone='1'")
    assert (hidden.status_code, missing.status_code) == (400, 400)
    assert hidden.json()["detail"].replace("phone", "fone") == missing.json()["detail"]
    cleared = await get(two, "/collections/fire.calls/items?limit=1", clearance={"grade": "important", "personal": "personal"})
    assert "phone" in cleared.json()["features"][0]["properties"]
    following = next(link["href"] for link in (await get(two, "/collections/fire.calls/items?limit=5")).json()["links"] if link["rel"] == "next")
    assert (await get(two, following)).status_code == 200
    for claims in ({"areas": ["430302"]}, {"subject": "user:other"}, {"clearance": {"grade": "important", "personal": "personal"}}):
        assert (await get(two, following, **claims)).status_code == 400
    assert (await get(two, following.replace("token=", "token=A"))).json()["type"] == "/problems/invalid-page-token"
    assert (await get(two, f"{following}&sortby=kind")).status_code == 400


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=x", "/limit"),
        ("sortby=nothing", "/sortby"),
        ("filter=(((", "/filter"),
        ("filter=" + "(" * 2000 + "kind='x'" + ")" * 2000, "/filter"),
        ("bbox=1,2,3", "/bbox"),
        ("datetime=yesterday", "/datetime"),
        ("known_at=2026-11-01", "/known_at"),
        ("nonsense=1", "/nonsense"),
        ("kind=a&kind=b", "/kind"),
        ("deadline_ms=x", "/deadline_ms"),
        ("strict=perhaps", "/strict"),
        ("token=nonsense", "/token"),
        ("properties=nothing", "/properties"),
        ("units=many", "/units"),
        ("kind=%00", "/kind"),
    ],
)
async def test_what_is_wrong_with_a_query_is_said_with_its_place(two: Federation, query: str, pointer: str) -> None:
    answer = await get(two, f"/collections/fire.calls/items?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["pointer"] == pointer


@pytest.fixture(scope="module")
async def changing(city: City) -> AsyncIterator[Federation]:
    """A hub and two sectors, empty at first."""
    async with federation(city, {"brigade": [], "harbour": []}) as made:
        yield made


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(4, 80))])
async def test_rows_that_come_and_go_while_paging_repeat_nothing_and_lose_nothing(changing: Federation, seed: int) -> None:
    """Beside a model: what was there at the first page and stays is met once; nothing is met twice, or after it was deleted."""
    chance = random.Random(seed)
    kind, limit = f"k{seed}", chance.randint(3, 12)
    sort = chance.choice(["", "units", "-units", "-response_s,units", "received_at,-units", "area,units"])
    made: dict[str, set[str]] = {name: set() for name in changing.apps}

    async def change(name: str, new: int, gone: Sequence[str]) -> None:
        rows = [
            {**row, "id": f"{kind}-{chance.randrange(10**9)}-{name}", "kind": kind, "units": chance.randrange(3)}
            for row in calls("x", new, chance.randrange(10**6))
        ]
        table = changing.apps[name].state.runtime.service.datasets[0].table
        async with changing.apps[name].state.runtime.engine.begin() as connection:
            await connection.execute(delete(table).where(table.c.id.in_(gone)))
            if rows:
                await connection.execute(insert(table), rows)
        made[name] = made[name] - set(gone) | {row["id"] for row in rows}

    for name in made:
        await change(name, 40, [])
    staying = set().union(*made.values())
    path: str | None = f"/collections/fire.calls/items?limit={limit}&kind={kind}" + (f"&sortby={sort}" if sort else "")
    found: list[str] = []
    while path is not None:
        page = (await get(changing, path)).json()
        met = [feature["id"] for feature in page["features"]]
        assert set(met) <= set().union(*made.values())
        found += met
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        for name, rows in made.items():
            gone = {*chance.sample(sorted(rows), min(2, len(rows))), *(met[-1:] if chance.random() < 0.5 else [])} & rows  # the last is where it goes on
            await change(name, chance.randrange(3), sorted(gone))
            staying -= gone
    assert len(found) == len(set(found))
    assert staying <= set(found)


async def test_a_past_moment_is_answered_as_it_was_then_on_every_page(city: City) -> None:
    first, second = calls("f", 20), calls("p", 20)
    async with federation(city, {"brigade": first, "harbour": second}) as made:
        then = (await get(made, "/collections/fire.calls/items?limit=1")).json()["timeStamp"]
        for app in made.apps.values():
            async with app.state.runtime.engine.begin() as connection:
                await connection.execute(delete(app.state.runtime.service.datasets[0].table))
        assert await all_pages(made, "/collections/fire.calls/items") == []
        before = await all_pages(made, f"/collections/fire.calls/items?limit=7&known_at={then}")
        assert [feature["id"] for feature in before] == [row["id"] for row in first + second]


async def test_the_hubs_own_collection_is_answered_from_its_own_database(two: Federation) -> None:
    answer = await get(two, "/collections/hub.areas/items")
    assert (answer.status_code, answer.json()["features"]) == (200, [])
    assert (await get(two, "/collections/hub.areas/items/430300")).status_code == 404
    assert (await get(two, "/collections/hub.areas/aggregate?measure=n:count")).json()["rows"] == [[0]]


async def test_a_loop_is_cut_and_a_bad_deadline_refused(two: Federation) -> None:
    path = "/collections/fire.calls/items"
    looped = await two.client.get(path, headers={**two.headers(), "Via": "1.1 430100.hub, 1.1 430300.hub"})
    assert (looped.status_code, looped.json()["type"]) == (508, "/problems/loop-detected")
    far = await two.client.get(path, headers={**two.headers(), "Via": ", ".join(f"1.1 hub{number}" for number in range(8))})
    assert far.status_code == 508
    for bad in ("soon", "-1", "", "9" * 40):
        answer = await two.client.get(path, headers={**two.headers(), "Liandong-Deadline-Ms": bad})
        assert answer.status_code == 400
    assert (await two.client.get(path, headers={**two.headers(), "Liandong-Deadline-Ms": "5000"})).status_code == 200
