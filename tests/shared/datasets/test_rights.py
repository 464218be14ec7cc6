"""What a caller may not see does not exist: answers are the same whatever it is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.city import City
from tests.shared.datasets.conftest import Watch, watching

ITEMS = "/collections/watch.reports/items"
LIMITED = {"scope": "hub:query", "areas": ["4303"], "subject": "client:limited"}
ELSEWHERE = (
    "UPDATE reports SET kind = 'changed', level = 8, seen_at = '2027-01-01Z' WHERE area NOT LIKE '4303%'",
    "INSERT INTO reports (id, kind, level, seen_at, area, recorded_by) SELECT 'x' || n, 'hidden', n % 9, now(), '4301', 'test' FROM generate_series(1, 30) n",
    "DELETE FROM reports WHERE id = 'r5'",
    "UPDATE reports SET observer = 'someone else', plan = 'another plan', sketch = 'another sketch'",
    "UPDATE posts SET keeper = 'another keeper'",
    "INSERT INTO outlines (site, part, area, recorded_by) VALUES (gen_random_uuid(), 1, '4301', 'test')",
    "INSERT INTO orders (id, text, recorded_by) VALUES (77, 'another order', 'test')",
)
"""Everything that the limited caller may not see, made different."""
HIDDEN_WORDS = re.compile(r"observer|keeper|\bplan\b|sketch|Zhang|Wang|plan [ab]|sketch [ab]|Li\b|Wu\b|Keep (watch|quiet)|watch\.(orders|secrets)")
QUESTIONS = [
    "/collections",
    "/capabilities",
    "/catalog",
    "/collections/watch.reports",
    "/collections/watch.reports/schema",
    "/collections/watch.reports/schema/feature",
    "/collections/watch.reports/queryables",
    *(f"/collections/{name}{part}" for name in ("watch.orders", "watch.secrets", "watch.nothing") for part in ("", "/schema", "/items", "/items/1")),
    "/collections/watch.outlines/items",
    ITEMS,
    *(f"{ITEMS}/{feature_id}" for feature_id in ("r1", "r4", "r5", "x1", "nothing")),
    *(f"{ITEMS}?f={form}" for form in ("csv", "arrow", "json")),
    *(f"{ITEMS}?resultType=hits{more}" for more in ("", "&kind=hidden", "&filter=level%20%3E%200")),
    *(f"{ITEMS}?limit={limit}&sortby={sortby}" for limit in (1, 2, 3) for sortby in ("level", "-level", "-seen_at", "kind", "observer", "-plan", "sketch")),
    *(
        f"{ITEMS}?filter={text}"
        for text in ("level > 2", "kind IS NULL", "area = '430103'", "observer = 'Zhang'", "plan LIKE '%'", "keepr = 1", "1 = 1", "NOT (level = 7)")
    ),
    *(f"{ITEMS}?{name}={text}" for name in ("kind", "observer", "plan", "sketch", "keeper", "observr", "area") for text in ("Zhang", "flood", "430103")),
    *(f"{ITEMS}?properties={names}" for names in ("kind,level", "observer", "kind,plan")),
    f"{ITEMS}?bbox=-180,-90,180,90",
    f"{ITEMS}?datetime=2026-01-01T00:00:00Z/..",
    f"{ITEMS}?known_at=2100-01-01T00:00:00Z&limit=1",
    "/collections/watch.reports/aggregate?measure=n:count&measure=top:max(level)&by=area",
    "/collections/watch.reports/aggregate?measure=n:count&measure=kinds:distinct(kind)",
    "/collections/watch.reports/aggregate?measure=n:count&by=observer",
    "/collections/watch.reports/aggregate?measure=n:distinct(plan)&by=kind",
    "/collections/watch.reports/aggregate?measure=n:count&filter=observer IS NULL",
    "/collections/watch.orders/aggregate?measure=n:count",
]


@dataclass
class Worlds:
    """Two services whose data differ only in what the limited caller may not see."""

    this: Watch
    other: Watch


@pytest.fixture(scope="module")
async def worlds(city: City) -> AsyncIterator[Worlds]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.datasets.answers.paging_key", lambda _: b"the same in both")
        async with watching(city) as this, watching(city) as other:
            for statement in ELSEWHERE:
                other.sql(statement)
            yield Worlds(this, other)


def plain(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    """An answer without what differs from moment to moment."""
    text = answer.content.decode("latin-1")
    text = re.sub(r'"(timeStamp|as_of|request_id|known_at)":"[^"]*"', r'"\1":""', text)
    text = re.sub(r'"elapsed_ms":\d+', '"elapsed_ms":0', text)
    headers = {name: value for name, value in answer.headers.items() if name in ("etag", "link", "content-type", "content-length", "vary")}
    return answer.status_code, text, headers


@pytest.mark.parametrize("question", QUESTIONS)
async def test_an_answer_does_not_depend_on_what_the_caller_may_not_see(worlds: Worlds, question: str) -> None:
    here, there = [await world.get(question, claims=LIMITED) for world in (worlds.this, worlds.other)]
    volatile = ("as_of", "elapsed_ms", "known_at", "request_id")
    if any(word in here.text for word in volatile):
        for answer in (here, there):
            answer.headers.pop("etag", None)
            answer.headers.pop("content-length", None)
    if "known_at" in question:
        assert re.sub(r"token=[^\"]*", "", plain(here)[1]) == re.sub(r"token=[^\"]*", "", plain(there)[1])
    else:
        assert plain(here) == plain(there)
    assert here.status_code < 500
    asked = [word for word in ("observer", "plan", "sketch", "keeper", "Zhang", "watch.orders", "watch.secrets") if word in question]
    told = re.sub("|".join(map(re.escape, asked)), "", here.text) if asked else here.text
    assert not HIDDEN_WORDS.search(told), HIDDEN_WORDS.search(told)


async def test_all_pages_together_hold_no_hidden_row(worlds: Worlds) -> None:
    for sortby in ("level", "-kind", "-seen_at,level"):
        found: list[str] = []
        address = f"{ITEMS}?limit=1&sortby={sortby}"
        while address:
            page = (await worlds.other.get(address, claims=LIMITED)).json()
            found += [feature["id"] for feature in page["features"]]
            address = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")
        assert sorted(found) == ["r1", "r2", "r3"]


@pytest.mark.parametrize(
    ("claims", "fields"),
    [
        ({"scope": "watch:read"}, {"sketch"}),
        ({"scope": "hub:query"}, set()),
        ({"scope": "watch:read", "actor": "430300/hub"}, set()),
        ({"scope": "hub:query", "clearance": {"grade": "general", "personal": "personal"}}, {"observer"}),
        ({"scope": "hub:query", "clearance": {"grade": "general", "personal": "sensitive"}}, {"observer", "keeper"}),
        ({"scope": "hub:query", "clearance": {"grade": "important", "personal": "none"}}, {"plan"}),
        ({"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}, {"observer", "keeper", "plan", "sketch"}),
    ],
)
async def test_fields_exist_as_far_as_clearance_and_sharing_go(worlds: Worlds, claims: dict[str, Any], fields: set[str]) -> None:
    row = (await worlds.this.get(f"{ITEMS}/r1", claims=claims)).json()["properties"]
    schema = (await worlds.this.get("/collections/watch.reports/schema", claims=claims)).json()["properties"]
    assert row.keys() & {"observer", "keeper", "plan", "sketch"} == fields
    assert schema.keys() - {"geometry"} == row.keys()


@pytest.mark.parametrize(
    ("claims", "datasets"),
    [
        ({"scope": "hub:query"}, ["watch.reports", "watch.outlines"]),
        ({"scope": "watch:read"}, ["watch.reports", "watch.outlines", "watch.orders"]),
        ({"scope": "watch:read", "actor": "430300/hub"}, ["watch.reports", "watch.outlines"]),
        ({"scope": "hub:query", "clearance": {"grade": "important", "personal": "none"}}, ["watch.reports", "watch.outlines", "watch.secrets"]),
        ({"scope": "fire:read watch:write hub:admin"}, []),
    ],
)
async def test_datasets_exist_as_far_as_scope_grade_and_sharing_go(worlds: Worlds, claims: dict[str, Any], datasets: list[str]) -> None:
    collections = (await worlds.this.get("/collections", claims=claims)).json()["collections"]
    assert [found["id"] for found in collections] == datasets
    capabilities = (await worlds.this.get("/capabilities", claims=claims)).json()["datasets"]
    assert [found["id"] for found in capabilities] == datasets


@pytest.mark.parametrize(
    ("areas", "found"),
    [(["*"], 5), ([], 0), (["43"], 5), (["430302001"], 1), (["4301", "430304"], 2), (["430302", "430302001"], 2), (["%"], 0), (["_30302"], 0)],
)
async def test_rows_exist_within_the_callers_areas(worlds: Worlds, areas: list[str], found: int) -> None:
    claims = {"scope": "hub:query", "areas": areas}
    assert (await worlds.this.get(ITEMS, claims=claims, resultType="hits")).json()["numberMatched"] == found


async def test_a_dataset_without_areas_exists_for_whoever_has_any(worlds: Worlds) -> None:
    for areas, found in ((["4303"], 2), ([], 0)):
        answer = await worlds.this.get("/collections/watch.orders/items", claims={"scope": "watch:read", "areas": areas})
        assert answer.json()["numberReturned"] == found


async def test_a_service_answers_only_for_the_areas_of_its_city(city: City) -> None:
    async with watching(city, areas=("4301",)) as watch:
        assert await watch.ids() == ["r4"]


async def test_a_page_token_does_not_pass_to_other_rights_or_other_queries(worlds: Worlds) -> None:
    page = (await worlds.this.get(f"{ITEMS}?limit=1", claims=LIMITED)).json()
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert (await worlds.this.get(following, claims=LIMITED)).status_code == 200
    for claims in ({**LIMITED, "areas": ["*"]}, {**LIMITED, "subject": "client:b"}, {**LIMITED, "clearance": {"grade": "important", "personal": "none"}}):
        answer = await worlds.this.get(following, claims=claims)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-page-token")
    for more in ("&kind=flood", "&sortby=-level", "&known_at=2026-12-01T00:00:00Z"):
        assert (await worlds.this.get(following + more, claims=LIMITED)).status_code == 400


async def test_only_the_landing_page_conformance_and_the_api_are_public(watch: Watch) -> None:
    document = (await watch.client.get("/api")).json()
    public = set()
    for path, operations in document["paths"].items():
        for method in operations:
            filled = re.sub(r"\{[^}]*\}", "watch.reports", path)
            answer = await watch.client.request(method, filled, json={"measures": {"n": {"fn": "count"}}} if method == "post" else None)
            if answer.status_code != 401:
                public.add(f"{method} {path}")
    contract = {operation for operation in public if not re.search(r"/(healthz|readyz|metrics|proof|problems)", operation)}
    assert contract == {"get /", "get /conformance", "get /api"}


async def test_a_version_is_told_only_to_those_who_see_everything(worlds: Worlds) -> None:
    everything = {"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}
    shown = (await worlds.this.get("/capabilities", claims=everything)).json()["datasets"]
    assert all(int(dataset["version"]) > 0 for dataset in shown)
    hidden = (await worlds.this.get("/capabilities", claims={**everything, "areas": ["4303"]})).json()["datasets"]
    assert not any("version" in dataset for dataset in hidden)
    assert "version" in json.dumps(shown)
