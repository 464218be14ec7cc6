"""A hub over hubs: three levels answer as one, each leaf by its own name, and nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from statistics import fmean, stdev
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert

from shared.datasets.aggregate.states import MEDIA_TYPE
from tests.city import City
from tests.federation.levels import NORTH, PROVINCE, ROWS, SOUTH, Levels, three_levels
from tests.hub.federation.liar import answer, instead

LEAVES = (f"{NORTH}/brigade", f"{SOUTH}/brigade", f"{SOUTH}/harbour")
ALL = [(leaf, row) for leaf in LEAVES for row in ROWS[leaf]]
FAILING = instead(answer(b"{}", status="500 Oops"))
QUESTION: dict[str, Any] = {
    "dataset": "fire.calls",
    "measures": {
        "calls": {"fn": "count"},
        "units": {"fn": "sum", "field": "units"},
        "mean": {"fn": "avg", "field": "response_s"},
        "spread": {"fn": "stddev", "field": "response_s"},
        "worst": {"fn": "max", "field": "response_s"},
    },
    "by": {"district": "area:district"},
}


@pytest.fixture(scope="module")
async def levels(city: City, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Levels]:
    async with three_levels(city, tmp_path_factory.mktemp("levels")) as made:
        yield made


def told(answered: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    return {entry["source"]: (entry["status"], entry.get("rows")) for entry in answered["coverage"]["sources"]}


async def pages(levels: Levels, path: str, each: Any = None, **claims: Any) -> list[dict[str, Any]]:
    """All pages by their next links; `each` runs after every page."""
    found: list[dict[str, Any]] = []
    address: str | None = path
    while address:
        response = await levels.get(address, **claims)
        assert response.status_code == 200, response.text
        found.append(response.json())
        address = next((link["href"] for link in found[-1]["links"] if link["rel"] == "next"), None)
        assert len(found) < 300, "the pages never end"
        if each:
            await each(len(found))
    return found


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for page in found for row in page["features"]]


def expected(field: str, down: bool) -> list[str]:
    """Nulls last; ties by hub, then sector, then key."""

    def rank(leaf: str, row: dict[str, Any]) -> tuple[Any, ...]:
        value = row[field] if field else 0
        number = value.timestamp() if hasattr(value, "timestamp") else value
        return (value is None, 0 if value is None else -number if down else number, leaf.partition("/")[0], leaf, row["id"])

    return [row["id"] for leaf, row in sorted(ALL, key=lambda pair: rank(*pair))]


async def test_measures_over_three_levels_are_those_of_all_rows_and_every_leaf_is_named(levels: Levels) -> None:
    answered = await levels.ask(QUESTION)
    assert told(answered) == {leaf: ("ok", len(ROWS[leaf])) for leaf in LEAVES}, answered
    groups: dict[str, list[dict[str, Any]]] = {}
    for _, row in ALL:
        groups.setdefault(row["area"], []).append(row)
    found = {row[0]: row[1:] for row in answered["rows"]}
    assert found.keys() == groups.keys() and len(found) == 6
    for district, rows in groups.items():
        times = [row["response_s"] for row in rows if row["response_s"] is not None]
        count, units, mean, spread, worst = found[district]
        assert (count, units, worst) == (len(rows), sum(row["units"] for row in rows), max(times))
        assert (mean, spread) == (pytest.approx(fmean(times), rel=1e-12), pytest.approx(stdev(times), rel=1e-9))
    assert answered["coverage"]["complete"] and "limited" not in answered["coverage"]


async def test_drill_across_over_three_levels_names_the_leaves_of_each_dataset(levels: Levels) -> None:
    across = {"fires": {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}}, "air": {"dataset": "air.readings", "measures": {"n": {"fn": "count"}}}}
    answered = await levels.ask({"across": across, "by": {"city": "area:city"}})
    named = [column["name"] for column in answered["columns"]]
    assert [[row[named.index(name)] for name in ("city", "fires.n", "air.n")] for row in answered["rows"]] == [["4301", 120, 40], ["4303", 150, 55]]
    assert told(answered) == {leaf: ("ok", len(rows)) for leaf, rows in ROWS.items()}


@pytest.mark.parametrize(
    ("limit", "field", "down"), [(41, "units", False), (53, "units", True), (37, "response_s", True), (1000, "received_at", False), (90, "", False)]
)
async def test_pages_over_pages_give_every_row_once_in_one_order(levels: Levels, limit: int, field: str, down: bool) -> None:
    query = f"/collections/fire.calls/items?limit={limit}" + (f"&sortby={'-' if down else ''}{field}" if field else "")
    found = await pages(levels, query)
    assert ids(found) == expected(field, down)
    counted: Counter[str] = Counter()
    for page in found:
        counted.update({entry["source"]: entry["rows"] for entry in page["coverage"]["sources"]})
        assert page["coverage"]["complete"]
    assert counted == {leaf: len(ROWS[leaf]) for leaf in LEAVES}
    assert len(found) == 1 or limit < 1000


@pytest.mark.parametrize(("sort", "down"), [("units", True), ("", False)])
async def test_a_stream_over_three_levels_has_every_row_once_and_names_the_leaves(levels: Levels, sort: str, down: bool) -> None:
    query = "/collections/fire.calls/items?stream=true" + (f"&sortby={'-' if down else ''}{sort}" if sort else "")
    whole = (await levels.get(query)).json()
    found = [row["id"] for row in whole["features"]]
    assert (found if sort else sorted(found)) == (expected(sort, down) if sort else sorted(expected("", False)))
    assert told(whole) == {leaf: ("ok", len(ROWS[leaf])) for leaf in LEAVES} and whole["coverage"]["complete"]
    levels.harbour.spoil = FAILING
    try:
        partial = (await levels.get(query)).json()
    finally:
        levels.harbour.spoil = None
        await levels.south.meet()
    assert partial["coverage"]["complete"] is False and told(partial)[f"{SOUTH}/harbour"][0] == "error"
    assert partial["numberReturned"] == sum(len(ROWS[leaf]) for leaf in LEAVES[:2])


async def test_rows_that_come_and_go_while_somebody_pages_lose_no_other_and_repeat_none(levels: Levels) -> None:
    south = levels.south.apps["brigade"]
    table = south.state.runtime.service.datasets[0].table
    new = [{**ROWS[f"{SOUTH}/brigade"][0], "id": f"new-{number}", "units": number % 9} for number in range(30)]

    async def come(page: int) -> None:
        async with south.state.runtime.engine.begin() as connection:
            await connection.execute(insert(table), [new[page]])

    try:
        found = ids(await pages(levels, "/collections/fire.calls/items?limit=40&sortby=units", come))
    finally:
        async with south.state.runtime.engine.begin() as connection:
            await connection.execute(delete(table).where(table.c.id.startswith("new-")))
    assert len(found) == len(set(found))
    assert [row for row in found if not row.startswith("new-")] == expected("units", False)


async def test_a_single_row_and_tables_come_through_the_levels(levels: Levels) -> None:
    assert (await levels.get("/collections/fire.calls/items/h-00007")).json()["properties"]["units"] == ROWS[f"{SOUTH}/harbour"][7]["units"]
    assert (await levels.get("/collections/fire.calls/items/x-00007")).status_code == 404
    table = await levels.get("/collections/fire.calls/items?f=csv&limit=1000&sortby=units")
    assert [line.partition(",")[0].strip('"') for line in table.text.splitlines()[1:]] == expected("units", False)


async def test_a_leaf_that_is_down_is_named_and_the_others_still_count(levels: Levels) -> None:
    levels.harbour.spoil = FAILING
    try:
        answered = await levels.ask(QUESTION)
        assert told(answered) == {LEAVES[0]: ("ok", 120), LEAVES[1]: ("ok", 90), LEAVES[2]: (told(answered)[LEAVES[2]][0], None)}
        assert told(answered)[LEAVES[2]][0] in ("error", "skipped") and not answered["coverage"]["complete"]
        strict = await levels.province.client.post("/aggregate", json={**QUESTION, "strict": True}, headers=levels.headers())
        assert (strict.status_code, told(strict.json())[LEAVES[2]][0] != "ok") == (502, True)
    finally:
        levels.harbour.spoil = None
        await levels.south.meet()


@pytest.mark.parametrize("whole_hub", [False, True])
async def test_a_city_of_which_no_leaf_answers_is_named_by_its_leaves(levels: Levels, whole_hub: bool) -> None:
    """Either the city's hub says that nobody answered it, or it is away itself and what it said before is remembered."""
    south = levels.province.source(f"{SOUTH}/hub") if whole_hub else levels.south.source(f"{SOUTH}/brigade")
    url, south.url = south.url, "http://127.0.0.1:1"
    levels.harbour.spoil = FAILING
    try:
        counted = await levels.ask({**QUESTION, "deadline_ms": 19_999})
        page = (await levels.get("/collections/fire.calls/items?limit=20&sortby=units")).json()
        following = await levels.get(next(link["href"] for link in page["links"] if link["rel"] == "next"))
        stream = (await levels.get("/collections/fire.calls/items?stream=true")).json()
    finally:
        south.url, levels.harbour.spoil = url, None
        await levels.meet()
    for found in (counted, page, following.json(), stream):
        named = {leaf: status for leaf, (status, _) in told(found).items()}
        assert named.keys() == set(LEAVES), found["coverage"]
        assert named[LEAVES[0]] == "ok" and not {named[leaf] for leaf in LEAVES[1:]} & {"ok", "stale"}
        assert not found["coverage"]["complete"]
    assert told(counted)[LEAVES[0]] == ("ok", 120)


async def test_a_leaf_that_fails_on_one_page_stays_out_of_those_that_follow(levels: Levels) -> None:
    async def fail_once(page: int) -> None:
        levels.harbour.spoil = FAILING if page == 1 else None
        if page == 2:
            await levels.south.meet()

    found = await pages(levels, "/collections/fire.calls/items?limit=60&sortby=units", fail_once)
    first, later = ids(found[:1]), ids(found[1:])
    assert any(row.startswith("h-") for row in first) and not any(row.startswith("h-") for row in later)
    assert [row for row in first + later if not row.startswith("h-")] == [row for row in expected("units", False) if not row.startswith("h-")]
    assert all(told(page)[LEAVES[2]][0] in ("error", "skipped") for page in found[1:])


async def test_rights_hold_through_all_levels(levels: Levels) -> None:
    north = await levels.ask({**QUESTION, "by": {"district": "area:district"}}, areas=["4301"])
    assert {row[0][:4] for row in north["rows"]} == {"4301"} and north["coverage"]["limited"]
    district = await levels.ask(QUESTION, areas=["430302"])
    assert [row[0] for row in district["rows"]] == ["430302"]
    sensitive = {"grade": "important", "personal": "sensitive"}
    for row in (await levels.get("/collections/fire.calls/items?limit=400", clearance=sensitive)).json()["features"]:
        assert "phone" not in row["properties"]  # the cities do not trust the province with it
    assert (await levels.get("/collections/fire.calls/items?filter=phone%20LIKE%20%271%25%27", clearance=sensitive)).status_code == 400
    assert (await levels.get("/collections/fire.calls/items", scope="air:read")).status_code == 404
    assert (await levels.get("/collections/air.readings/items", scope="air:read")).status_code == 200
    page = (await pages(levels, "/collections/fire.calls/items?limit=50", areas=["430304", "430102"]))[0]
    assert {row["properties"]["area"] for row in page["features"]} <= {"430304", "430102"}


async def test_states_and_places_are_for_superior_hubs_alone(levels: Levels) -> None:
    url, question = "/collections/fire.calls/aggregate", {"measures": {"n": {"fn": "count"}}, "deadline_ms": 20_000}
    direct = await levels.south.client.post(url, json=question, headers={**levels.south.headers(), "Accept": MEDIA_TYPE})
    assert direct.status_code == 403
    above = levels.issuer.token(f"{SOUTH}/hub", scope="hub:query", actor=f"{PROVINCE}/hub", lifetime_s=60)
    states = await levels.south.client.post(url, json=question, headers={"Authorization": f"Bearer {above}", "Accept": MEDIA_TYPE})
    assert (states.status_code, states.headers["content-type"]) == (200, MEDIA_TYPE)
    rows = "/collections/fire.calls/items?limit=5"
    mine = await levels.south.client.get(rows, headers={**levels.south.headers(), "Liandong-After": '{"after": {}, "out": {}, "known_at": {}}'})
    assert len(mine.json()["features"]) == 5 and not {"places", "journey"} & mine.json().keys()
    for wrong in ("[", "7", '{"after": 7, "out": {}, "known_at": {}}', '{"after": {"x": {"after": {}}}, "out": {}, "known_at": {}}', '{"after": {"x": ["q"]}}'):
        refused = await levels.south.client.get(rows, headers={"Authorization": f"Bearer {above}", "Liandong-After": wrong})
        assert (refused.status_code, refused.json()["pointer"]) == (400, "/Liandong-After"), wrong


async def test_hubs_that_ask_each_other_count_nothing_twice_and_a_loop_is_cut(levels: Levels) -> None:
    """The southern city asks the province, too, and the northern city's hub directly: each leaf is still counted once at the province."""
    hub = levels.south.app.state.runtime.own
    admin = levels.south.headers(scope="hub:admin")
    for name, url in ((f"{PROVINCE}/hub", levels.province.client.base_url), (f"{NORTH}/hub", levels.north.client.base_url)):
        made = await levels.south.client.post("/sources", json={"name": name, "kind": "hub", "url": str(url)}, headers=admin)
        assert made.status_code == 201, made.text
    try:
        await levels.hear(levels.south, f"{PROVINCE}/hub")
        from_below = (await levels.south.aggregate({**QUESTION, "sources": [f"{PROVINCE}/hub", f"{SOUTH}/brigade", f"{SOUTH}/harbour"]})).json()
        assert told(from_below) == {leaf: ("ok", len(ROWS[leaf])) for leaf in LEAVES}
        rows = await levels.south.client.get(f"/collections/fire.calls/items?limit=1000&sources={PROVINCE}/hub,{SOUTH}/brigade", headers=levels.south.headers())
        assert len(rows.json()["features"]) == 210
        assert told(await levels.ask(QUESTION)) == {leaf: ("ok", len(ROWS[leaf])) for leaf in LEAVES}
        looped = await levels.province.client.post("/aggregate", json=QUESTION, headers={**levels.headers(), "Via": f"1.1 {PROVINCE}.hub, 1.1 {SOUTH}.hub"})
        assert (looped.status_code, looped.json()["type"]) == (508, "/problems/loop-detected")
    finally:
        for name in (f"{PROVINCE}/hub", f"{NORTH}/hub"):
            assert (await levels.south.client.delete(f"/sources/{name}", headers=admin)).status_code == 204
        while f"{NORTH}/hub" in hub.registry.sources:
            await asyncio.sleep(0.01)


async def test_the_hubs_own_rows_go_up_beside_those_of_the_sectors(levels: Levels) -> None:
    areas = [{"code": code, "name_zh": code, **({"level": "nation"} if code == "cn" else {})} for code in ("cn", "43", "4303", "430302")]
    taken = await levels.south.client.put("/areas", json=areas, headers=levels.south.headers(scope="hub:admin"))
    assert taken.status_code == 200, taken.text
    incident = {"kind": "fire", "title_zh": "火灾", "title_en": "Fire", "area": "430302"}
    made = await levels.south.client.post("/incidents", json=incident, headers=levels.south.headers(scope="hub:command"))
    assert made.status_code == 201, made.text
    page = (await levels.get("/collections/hub.incidents/items")).json()
    assert [row["id"] for row in page["features"]] == [made.json()["id"]]
    assert told(page) == {f"{PROVINCE}/hub": ("ok", 0), f"{NORTH}/hub": ("ok", 0), f"{SOUTH}/hub": ("ok", 1)}
    counted = await levels.ask({"dataset": "hub.incidents", "measures": {"n": {"fn": "count"}}})
    assert counted["rows"] == [[1]] and len(counted["coverage"]["sources"]) == 3
    kept: httpx.Response = await levels.get("/collections/hub.areas/items")
    assert kept.json()["features"] == [] and "coverage" not in kept.json()  # every hub keeps areas for itself; the province's are not added to


async def test_sources_below_are_described_as_the_levels_have_them(levels: Levels) -> None:
    found = {source["name"]: source for source in (await levels.get("/sources")).json()}
    assert {name: (source["kind"], source["trust"], source["health"]) for name, source in found.items()} == {
        f"{code}/hub": ("hub", "proven", "up") for code in (NORTH, SOUTH)
    }
    assert "fire.calls" in {offer["dataset"] for offer in found[f"{SOUTH}/hub"]["datasets"]}
    described = (await levels.get("/collections/fire.calls")).json()
    assert described["sources"] == [f"{NORTH}/hub", f"{SOUTH}/hub"]
    assert described["leaves"] == sorted(LEAVES)
