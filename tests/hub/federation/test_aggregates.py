"""One question, all sources: sums exact, coverage true, whatever a source does."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, readings

FIRE, PORT, AIR = calls("f", 900), calls("p", 600), readings(300)
ALL = FIRE + PORT
QUESTION: dict[str, Any] = {
    "dataset": "fire.calls",
    "measures": {
        "calls": {"fn": "count"},
        "units": {"fn": "sum", "field": "units"},
        "mean": {"fn": "avg", "field": "response_s"},
        "worst": {"fn": "max", "field": "response_s"},
        "spread": {"fn": "stddev", "field": "response_s"},
        "p90": {"fn": "quantile", "field": "response_s", "q": 0.9},
    },
    "by": {"district": "area:district", "kind": "kind"},
}


@pytest.fixture(scope="module")
async def city_of_two(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": FIRE, "harbour": PORT, "air": AIR}) as made:
        yield made


def statuses(answer: Any) -> dict[str, str]:
    return {entry["source"]: entry["status"] for entry in answer.json()["coverage"]["sources"]}


async def test_two_sources_of_one_dataset_add_up_exactly(city_of_two: Federation) -> None:
    answer = await city_of_two.aggregate(QUESTION)
    assert answer.status_code == 200, answer.text
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in ALL:
        groups[row["area"], row["kind"]].append(row)
    found = {(row[0], row[1]): row[2:] for row in answer.json()["rows"]}
    assert set(found) == set(groups)
    for key, rows in groups.items():
        times = sorted(row["response_s"] for row in rows if row["response_s"] is not None)
        count, units, mean, worst, spread, p90 = found[key]
        assert (count, units, worst) == (len(rows), sum(row["units"] for row in rows), times[-1])
        assert mean == pytest.approx(statistics.fmean(times), rel=1e-12)
        assert spread == pytest.approx(statistics.stdev(times), rel=1e-9)
        assert p90 == pytest.approx(times[int(0.9 * (len(times) - 1))], rel=0.0101)
    coverage = answer.json()["coverage"]
    assert coverage["complete"] is True
    assert {(entry["source"], entry["rows"], entry["served_from"]) for entry in coverage["sources"]} == {
        ("430300/brigade", len(FIRE), "rows"),
        ("430300/harbour", len(PORT), "rows"),
    }


async def test_having_sortby_and_limit_come_after_the_merge(city_of_two: Federation) -> None:
    whole = {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}, "by": {"kind": "kind"}}
    counts = sorted(((sum(row["kind"] == kind for row in ALL), kind) for kind in {row["kind"] for row in ALL}), reverse=True)
    answer = await city_of_two.aggregate({**whole, "sortby": ["-calls"], "limit": 2, "having": f"calls > {counts[-1][0]}"})
    assert answer.json()["rows"] == [[kind, count] for count, kind in counts[:2]]


async def test_the_collection_routes_answer_like_a_sectors(city_of_two: Federation) -> None:
    headers = city_of_two.headers()
    short = await city_of_two.client.get("/collections/fire.calls/aggregate?measure=calls:count&by=area:district&deadline_ms=20000", headers=headers)
    long = await city_of_two.client.post(
        "/collections/fire.calls/aggregate", json={"measures": {"calls": {"fn": "count"}}, "by": {"district": "area:district"}}, headers=headers
    )
    assert short.json()["rows"] == long.json()["rows"]
    assert sum(row[1] for row in short.json()["rows"]) == len(ALL)
    csv = await city_of_two.client.get("/collections/fire.calls/aggregate?measure=calls:count&f=csv&deadline_ms=20000", headers=headers)
    assert csv.text.split() == ["calls", str(len(ALL))]
    assert 'rel="coverage"' in csv.headers["link"]


async def test_rights_are_the_askers_in_every_source(city_of_two: Federation) -> None:
    answer = await city_of_two.aggregate({"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}}, areas=["430302"])
    assert answer.json()["rows"] == [[sum(row["area"] == "430302" for row in ALL)]]
    assert answer.json()["coverage"]["limited"] is True
    assert answer.json()["coverage"]["scope"] == {"areas": ["430302"], "clearance": {"grade": "important", "personal": "none"}}
    nowhere = await city_of_two.aggregate({"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}}, areas=[])
    assert nowhere.json()["rows"] == [[0]]
    hidden = await city_of_two.aggregate({"dataset": "fire.calls", "measures": {"n": {"fn": "distinct", "field": "phone"}}})
    missing = await city_of_two.aggregate({"dataset": "fire.calls", "measures": {"n": {"fn": "distinct", "field": "fone"}}})
    assert hidden.status_code == missing.status_code == 400
    assert hidden.json()["type"] == missing.json()["type"] == "/problems/unknown-field"
    assert hidden.json()["pointer"] == "/measures/n/field"
    cleared = await city_of_two.aggregate(
        {"dataset": "fire.calls", "measures": {"n": {"fn": "count", "field": "phone"}}}, clearance={"grade": "important", "personal": "personal"}
    )
    assert (cleared.status_code, cleared.json()["type"], cleared.json()["pointer"]) == (400, "/problems/fixed-cells-only", "/measures/n/field")


async def test_a_dataset_that_is_not_there_or_not_for_this_caller_is_not_found(city_of_two: Federation) -> None:
    question = {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}}
    for asked, scope in (({**question, "dataset": "fire.nothing"}, "hub:query"), (question, "food:read"), ({**question, "dataset": "x" * 100}, "hub:query")):
        answer = await city_of_two.aggregate(asked, scope=scope)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert (await city_of_two.aggregate(question, scope="fire:read")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/"),
        ({"dataset": "fire.calls"}, "/"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "across": {}}, "/across"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "by": {"n": "kind"}}, "/"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "sum", "field": "kind"}}}, "/measures/n/field"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "by": {"a": "area:street"}}, "/by/a"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "filter": "kindd = 'x'"}, "/filter"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "having": "m > 1"}, "/having"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "deadline_ms": 0}, "/deadline_ms"),
        ({"across": {"a": {"dataset": "fire.calls", "measures": {"n": {"fn": "sum", "field": "kind"}}}}}, "/across/a/measures/n/field"),
        ({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "filter": {"op": "=", "args": [{"property": "units"}, 10**30]}}, "/filter"),
    ],
)
async def test_what_is_wrong_with_a_question_is_said_with_its_place(city_of_two: Federation, asked: dict[str, Any], pointer: str) -> None:
    answer = await city_of_two.aggregate(asked)
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["pointer"] == pointer
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("condition", ["kind = '\ud800'", {"op": "=", "args": [{"\ud800": "units"}, 1]}])
async def test_half_characters_reach_no_source(city_of_two: Federation, condition: Any) -> None:
    part = {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "filter": condition}
    for asked, pointer in ((part, "/filter"), ({"across": {"a": part}}, "/across/a/filter")):
        headers = {**city_of_two.headers(), "Content-Type": "application/json"}
        answer = await city_of_two.client.post("/aggregate", content=json.dumps(asked), headers=headers)
        assert (answer.status_code, answer.json()["pointer"]) == (400, pointer)


async def test_across_puts_datasets_side_by_side_and_tells_empty_cells(city_of_two: Federation) -> None:
    answer = await city_of_two.aggregate(
        {
            "across": {
                "fires": {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}},
                "air": {"dataset": "air.readings", "measures": {"pm": {"fn": "avg", "field": "value"}}},
            },
            "by": {"district": "area:district"},
        }
    )
    assert [column["name"] for column in answer.json()["columns"]] == ["district", "fires.calls", "air.pm", "fires.status", "air.status"]
    values = {area: [row["value"] for row in AIR if row["area"] == area] for area in {row["area"] for row in ALL}}
    means = {area: pytest.approx(statistics.fmean(found)) if found else None for area, found in values.items()}
    expected = [[area, sum(row["area"] == area for row in ALL), means[area], "ok", "ok" if values[area] else "empty"] for area in sorted(values)]
    assert answer.json()["rows"] == expected
    assert None in means.values()
    assert statuses(answer) == {"430300/brigade": "ok", "430300/harbour": "ok", "430300/air": "ok"}


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ({"kind": "kind"}, "'kind' is shared by fires, not by air. All parts share: area:<level>, time:<unit>, area, id."),
        ({"hour": "time:hour", "x": "value"}, "'value' is shared by air, not by fires."),
    ],
)
async def test_a_dimension_that_only_some_parts_have_is_refused_with_what_they_share(city_of_two: Federation, by: dict[str, str], said: str) -> None:
    count = {"measures": {"n": {"fn": "count"}}}
    answer = await city_of_two.aggregate({"across": {"fires": {"dataset": "fire.calls", **count}, "air": {"dataset": "air.readings", **count}}, "by": by})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-dimension")
    assert said in answer.json()["detail"]


async def test_the_hubs_own_datasets_join_in(city_of_two: Federation) -> None:
    answer = await city_of_two.aggregate(
        {
            "across": {
                "fires": {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}},
                "places": {"dataset": "hub.areas", "measures": {"n": {"fn": "count"}}},
            }
        }
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"][0][0] == len(ALL)
    assert statuses(answer)["430300/hub"] == "ok"


async def test_fifty_questions_at_once_are_all_answered_alike(city_of_two: Federation) -> None:
    question = {"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}, "by": {"kind": "kind"}, "deadline_ms": 20_000}
    answers = await asyncio.gather(*(city_of_two.aggregate(question) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.json()["rows"]) for answer in answers}) == 1
