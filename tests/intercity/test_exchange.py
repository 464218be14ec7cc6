"""A city asks another through both gateways: its hub sees the peer's shared data as a source, when it is named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.intercity.cities import NORTH, SOUTH, TwoCities, grant

SHARED = [f"n{number:04d}" for number in range(90) if number % 3 != 1]
OWN = [f"s{number:04d}" for number in range(60)]


@pytest.fixture(scope="module")
async def agreed(cities: TwoCities) -> TwoCities:
    """The north gives the south its calls that are not medical; the south's hub has met the north."""
    await cities.agree(give=grant())
    await cities.meet(SOUTH)
    return cities


async def ask(cities: TwoCities, path: str, **claims: Any) -> httpx.Response:
    """The south's hub, asked by an analyst."""
    claims.setdefault("purpose", "analysis")
    return await cities.south.clients["hub"].get(path, headers=cities.south.headers("hub", "hub:query", **claims))


async def pages(cities: TwoCities, path: str, **claims: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    address: str | None = path
    while address is not None:
        answer = await ask(cities, address, **claims)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["coverage"]["complete"], page["coverage"]
        found += page["features"]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        assert len(found) < 1000
    return found


async def test_a_peer_is_asked_only_when_it_is_named(agreed: TwoCities) -> None:
    page = (await ask(agreed, "/collections/fire.calls/items?limit=1000")).json()
    assert [row["id"] for row in page["features"]] == OWN
    assert {source["source"] for source in page["coverage"]["sources"]} == {f"{SOUTH}/fire"}


@pytest.mark.parametrize("sort", ["", "&sortby=-units", "&sortby=kind,-received_at", "&sortby=-received_at"])
async def test_rows_of_both_cities_come_once_in_one_order(agreed: TwoCities, sort: str) -> None:
    rows = await pages(agreed, f"/collections/fire.calls/items?limit=17&sources={SOUTH}/fire,{NORTH}/hub{sort}")
    assert sorted(row["id"] for row in rows) == SHARED + OWN
    if "units" in sort:
        units = [row["properties"]["units"] for row in rows]
        assert units == sorted(units, reverse=True)
    theirs = [row for row in rows if row["id"].startswith("n")]
    assert {row["properties"]["origin"] for row in theirs} == {NORTH}
    assert {len(row["properties"]["agreement"]) for row in theirs} == {64}
    assert all(set(row["properties"]) == {"id", "kind", "received_at", "area", "units", "origin", "agreement"} and row["geometry"] is None for row in theirs)


async def test_filters_times_and_single_rows_reach_the_peer(agreed: TwoCities) -> None:
    path = f"/collections/fire.calls/items?limit=1000&sources={NORTH}/hub"
    assert {row["properties"]["kind"] for row in await pages(agreed, f"{path}&filter=kind='rescue' OR kind='medical'")} == {"rescue"}
    assert len(await pages(agreed, f"{path}&kind=rescue")) == 30
    assert len(await pages(agreed, f"{path}&datetime=../2026-11-01T01:00:00Z")) == 6
    one = (await ask(agreed, f"/collections/fire.calls/items/n0003?sources={NORTH}/hub")).json()
    assert (one["id"], one["properties"]["origin"]) == ("n0003", NORTH)
    assert (await ask(agreed, f"/collections/fire.calls/items/n0001?sources={NORTH}/hub")).status_code == 404
    hits = (await ask(agreed, f"/collections/fire.calls/items?resultType=hits&sources={NORTH}/hub")).json()
    assert hits["numberMatched"] == len(SHARED)


async def test_the_asker_s_areas_hold_across_the_border(agreed: TwoCities) -> None:
    path = f"/collections/fire.calls/items?limit=1000&sources={NORTH}/hub"
    assert await pages(agreed, path, areas=["4303"]) == []
    assert {row["properties"]["area"] for row in await pages(agreed, path, areas=["430104", "4303"])} <= {"430104"}


async def test_cells_of_both_cities_are_merged(agreed: TwoCities) -> None:
    question = {
        "measures": {
            "calls": {"fn": "count"},
            "units": {"fn": "sum", "field": "units"},
            "mean": {"fn": "avg", "field": "units"},
            "most": {"fn": "max", "field": "units"},
            "first": {"fn": "min", "field": "received_at"},
        },
        "by": {"kind": "kind"},
        "sources": [f"{SOUTH}/fire", f"{NORTH}/hub"],
        "deadline_ms": 20_000,
    }
    path = "/collections/fire.calls/aggregate"
    headers = agreed.south.headers("hub", "hub:query", purpose="analysis")
    answer = await agreed.south.clients["hub"].post(path, json=question, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["coverage"]["complete"], found["coverage"]
    assert {row[0]: row[1] for row in found["rows"]} == {"structure_fire": 50, "medical": 20, "rescue": 50}
    assert {source["source"] for source in found["coverage"]["sources"]} == {f"{SOUTH}/fire", f"{NORTH}/fire"}
    assert {row[0]: row[2] for row in found["rows"]}["rescue"] == sum(1 + i % 4 for n in (90, 60) for i in range(n) if i % 3 == 2)
    by_day = question | {"by": {"day": "time:day", "district": "area:district"}, "tz": "Asia/Shanghai"}
    answer = await agreed.south.clients["hub"].post(path, json=by_day, headers=headers)
    assert answer.status_code == 200, answer.text
    assert sum(row[2] for row in answer.json()["rows"]) == len(SHARED) + len(OWN)
    total = question | {"by": {}, "sources": [f"{NORTH}/hub"]}
    assert (await agreed.south.clients["hub"].post(path, json=total, headers=headers)).json()["rows"][0][0] == len(SHARED)


async def test_the_coverage_names_city_of_origin_and_agreement_of_what_a_peer_gave(agreed: TwoCities) -> None:
    both, count = f"sources={SOUTH}/fire,{NORTH}/hub", "measure=n:count&by=kind&deadline_ms=20000"
    for path in (f"items?limit=200&{both}", f"items?stream=true&{both}", f"aggregate?{count}&{both}", f"items/n0003?{both}"):
        coverage = (await ask(agreed, f"/collections/fire.calls/{path}")).json()["coverage"]
        told = {source["source"].partition("/")[0]: (source.get("origin"), len(source.get("agreement", ""))) for source in coverage["sources"]}
        assert told == {SOUTH: (None, 0), NORTH: (NORTH, 64)}, path
    failed = (await ask(agreed, f"/collections/fire.calls/items?{both}", purpose="marketing")).json()["coverage"]["sources"]
    assert [(source.get("origin"), source.get("agreement")) for source in failed] == [(NORTH, None), (None, None)]


async def test_the_catalogue_names_them_too_and_tells_a_peer_nothing_of_all_rows(agreed: TwoCities) -> None:
    described = (await ask(agreed, "/collections/fire.calls")).json()
    (origin,) = described["origins"]
    assert (origin["source"], origin["origin"], len(origin["agreement"])) == (f"{NORTH}/hub", NORTH, 64)
    datasets = {part["dct:identifier"]: part for part in (await ask(agreed, "/catalog")).json()["dcat:dataset"]}
    shared = datasets[f"{NORTH}/hub/fire.calls"]
    assert (shared["prov:wasAttributedTo"]["dct:identifier"], shared["ld:agreement"]) == (NORTH, origin["agreement"])
    assert "prov:wasAttributedTo" not in datasets["fire.calls"]
    address = next(part["dcat:accessURL"]["@id"] for part in shared["dcat:distribution"] if part["dct:title"] == "geojson")
    rows = (await ask(agreed, address)).json()["features"]
    assert rows and {row["properties"]["origin"] for row in rows} == {NORTH}
    offer = agreed.south.apps["hub"].state.runtime.own.registry.sources[f"{NORTH}/hub"].offers["fire.calls"]
    assert not {"quality", "extent", "leaves", "origins", "sources"} & offer.collection.keys()


async def test_what_does_not_cross_is_named_in_the_coverage(agreed: TwoCities) -> None:
    question = {"measures": {"p90": {"fn": "quantile", "field": "units", "q": 0.9}}, "sources": [f"{SOUTH}/fire", f"{NORTH}/hub"], "deadline_ms": 20_000}
    headers = agreed.south.headers("hub", "hub:query", purpose="analysis")
    found = (await agreed.south.clients["hub"].post("/collections/fire.calls/aggregate", json=question, headers=headers)).json()
    failed = {source["source"]: source for source in found["coverage"]["sources"]}[f"{NORTH}/hub"]
    assert failed["status"] == "error"
    assert "does not cross" in failed["problem"]["detail"]
    answer = await ask(agreed, f"/collections/fire.calls/items?sources={NORTH}/hub&filter=response_s > 100")
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/outside-agreement")


async def test_a_purpose_that_is_not_agreed_gets_nothing(agreed: TwoCities) -> None:
    found = await ask(agreed, f"/collections/fire.calls/items?sources={NORTH}/hub", purpose="marketing")
    assert found.status_code == 502
    assert found.json()["coverage"]["sources"][0]["status"] == "denied"


async def test_only_the_hub_asks_peers(agreed: TwoCities) -> None:
    headers = agreed.south.headers("intercity", "hub:query intercity:read", purpose="analysis")
    assert (await agreed.south.clients["intercity"].get(f"/peers/{NORTH}/collections/fire.calls/items", headers=headers)).status_code == 403
