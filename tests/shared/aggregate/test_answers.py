"""A service's aggregates on a real PostgreSQL equal what pandas computes from the same rows."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import httpx
import pandas as pd
import pytest

from shared.config import Settings
from shared.datasets.aggregate.sketches import DISTINCT_ERROR, QUANTILE_ERROR
from tests.city import City
from tests.shared.aggregate.toy import DDL, TOY, expected, fill, period, random_calls

ZONES = ("Asia/Shanghai", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/London", "Africa/Cairo", "UTC")
ROWS = random_calls(3000, seed=11)
FEW = 300
"""Rows of questions with many groups: pandas takes its time over each."""


@pytest.fixture(scope="module")
async def settings(city: City) -> Settings:
    made = city.settings(TOY, ddl=DDL)
    await fill(made, ROWS)
    return made


async def ask(client: httpx.AsyncClient, collection: str = "toy.calls", **question: Any) -> dict[str, Any]:
    answer = await client.post(f"/collections/{collection}/aggregate", json=question)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def random_question(seed: int) -> dict[str, Any]:
    chosen = random.Random(seed)
    dimensions = ["kind", "grade", "urgent", "area", "area:district", "area:city", "area:town", "area:province"]
    dimensions += [f"time:{unit}" for unit in ("minute", "hour", "day", "week", "month", "year")]
    measures: list[dict[str, Any]] = [{"fn": "count"}, {"fn": "count", "field": chosen.choice(["kind", "response_s"])}]
    measures += [{"fn": fn, "field": chosen.choice(["response_s", "cost", "grade"])} for fn in ("sum", "avg", "min", "max", "stddev")]
    measures += [{"fn": "quantile", "field": chosen.choice(["response_s", "cost", "grade"]), "q": chosen.choice([0.05, 0.5, 0.9, 1.0])} for _ in range(2)]
    measures += [{"fn": "min", "field": "kind"}, {"fn": "distinct", "field": chosen.choice(["area", "kind", "grade"])}]
    by = chosen.sample(dimensions, chosen.randint(0, 3))
    fine = len(by) > 2 or "time:minute" in by or "time:hour" in by
    return {
        "by": {f"d{position}": of for position, of in enumerate(by)},
        "filter": f"id < {FEW if fine else len(ROWS)}",
        "measures": {f"m{position}": measure for position, measure in enumerate(chosen.sample(measures, chosen.randint(1, 5)))},
        "tz": chosen.choice(ZONES),
    }


def compare(body: dict[str, Any], question: dict[str, Any], rows: pd.DataFrame) -> None:
    count = len(question["by"])
    found = {tuple(row[:count]): row[count:] for row in body["rows"]}
    few = rows[rows["id"] < int(question["filter"].rpartition(" ")[2])]
    wanted = expected(few, question["by"], question["measures"], question["tz"])
    assert len(found) == len(body["rows"])
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        for spec, mine, other in zip(question["measures"].values(), found[key], values, strict=True):
            check(spec, mine, other)


def check(spec: dict[str, Any], mine: Any, other: Any) -> None:
    if mine is None or other is None or spec["fn"] in ("count", "min", "max") or (spec["fn"] == "sum" and spec["field"] == "grade"):
        assert mine == other, spec
    elif spec["fn"] == "quantile":
        assert abs(mine - other) <= QUANTILE_ERROR * abs(other), spec
    elif spec["fn"] == "distinct":
        assert abs(mine - other) <= max(3, 5 * DISTINCT_ERROR * other), spec  # registers collide among few values too
    else:
        assert mine == pytest.approx(other, rel=1e-9, abs=1e-7), spec


@pytest.mark.parametrize("seed", range(25))
async def test_random_questions_are_answered_as_pandas_does(client: httpx.AsyncClient, seed: int) -> None:
    question = random_question(seed)
    compare(await ask(client, **question), question, ROWS)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(25, 525))
async def test_many_random_questions_are_answered_as_pandas_does(client: httpx.AsyncClient, seed: int) -> None:
    question = random_question(seed)
    compare(await ask(client, **question), question, ROWS)


async def test_the_answer_is_as_the_contract_shows_it(client: httpx.AsyncClient) -> None:
    body = await ask(
        client,
        measures={"calls": {"fn": "count"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}},
        by={"district": "area:district", "hour": "time:hour", "kind": "kind"},
        filter="grade <= 2",
        **{"from": "2025-11-01T00:00:00+08:00", "until": "2025-11-03T00:00:00+08:00"},
        tz="Asia/Shanghai",
        having="calls >= 2",
        sortby=["-calls"],
        limit=3,
    )
    assert body["columns"] == [
        {"name": "district", "type": "string", "role": "dimension", "of": "area:district"},
        {"name": "hour", "type": "datetime", "role": "dimension", "of": "time:hour"},
        {"name": "kind", "type": "string", "role": "dimension", "of": "kind"},
        {"name": "calls", "type": "integer", "role": "measure", "fn": "count"},
        {"name": "p90", "type": "number", "role": "measure", "fn": "quantile", "unit": "s", "relative_error": 0.01},
    ]
    assert 0 < len(body["rows"]) <= 3 and all(row[1].endswith(":00:00+08:00") and row[3] >= 2 for row in body["rows"])
    (source,) = body["coverage"]["sources"]
    assert (source["source"], source["dataset"], source["status"], source["served_from"]) == ("430300/toy", "toy.calls", "ok", "rows")
    received = pd.to_datetime(ROWS["received_at"], utc=True)
    inside = ROWS[(ROWS["grade"].astype(float) <= 2) & (received >= pd.Timestamp("2025-10-31T16:00Z")) & (received < pd.Timestamp("2025-11-02T16:00Z"))]
    assert (body["coverage"]["complete"], source["rows"]) == (True, len(inside))


async def test_the_short_form_gives_the_same_rows(client: httpx.AsyncClient) -> None:
    long = await ask(client, measures={"n": {"fn": "count"}, "p": {"fn": "quantile", "field": "cost", "q": 0.5}}, by={"kind": "kind"}, filter="grade<=2")
    short = await client.get("/collections/toy.calls/aggregate?measure=n:count&measure=p:quantile(cost,0.5)&by=kind&filter=grade<=2")
    assert short.json()["rows"] == long["rows"]


async def test_days_are_cut_in_the_citys_zone_unless_another_is_asked(client: httpx.AsyncClient) -> None:
    body = await ask(client, measures={"n": {"fn": "count"}}, by={"day": "time:day"})
    assert {row[0] for row in body["rows"]} == {period(moment, "day", "Asia/Shanghai") for moment in ROWS["received_at"]}


async def test_the_hour_that_occurs_twice_when_clocks_go_back_is_two_hours(client: httpx.AsyncClient) -> None:
    body = await ask(
        client, measures={"n": {"fn": "count"}}, by={"hour": "time:hour"}, tz="America/Los_Angeles", datetime="2025-11-02T08:00:00Z/2025-11-02T10:59:59Z"
    )
    hours = [row[0] for row in body["rows"]]
    assert hours == ["2025-11-02T01:00:00-07:00", "2025-11-02T01:00:00-08:00", "2025-11-02T02:00:00-08:00"]


async def test_an_interval_is_closed_and_from_until_is_half_open(client: httpx.AsyncClient) -> None:
    moments = sorted(moment for moment in ROWS["received_at"] if moment)
    first, last = moments[100].isoformat(), moments[200].isoformat()
    closed = await ask(client, measures={"n": {"fn": "count"}}, datetime=f"{first}/{last}")
    half_open = await ask(client, measures={"n": {"fn": "count"}}, **{"from": first, "until": last})
    assert closed["rows"] == [[sum(moments[100] <= moment <= moments[200] for moment in moments)]]
    assert half_open["rows"] == [[sum(moments[100] <= moment < moments[200] for moment in moments)]]


async def test_a_box_restricts_the_rows(client: httpx.AsyncClient) -> None:
    body = await ask(client, measures={"n": {"fn": "count"}}, bbox=[112.7, 27.7, 113.1, 28.0])
    assert body["rows"] == [[int((ROWS["lon"].between(112.7, 113.1) & ROWS["lat"].between(27.7, 28.0)).sum())]]


async def test_an_area_that_is_known_coarsely_is_counted_under_null(client: httpx.AsyncClient) -> None:
    body = await ask(client, measures={"n": {"fn": "count"}}, by={"district": "area:district"}, filter="area IN ('4303', '43', '43040', 'xx-1')")
    assert body["rows"] == [[None, int(ROWS["area"].isin(["4303", "43", "43040", "xx-1"]).sum())]]


async def test_a_past_moment_is_answered_as_it_was_known_then(client: httpx.AsyncClient, city: City, settings: Settings) -> None:
    question: dict[str, Any] = {"measures": {"n": {"fn": "count"}, "cost": {"fn": "sum", "field": "grade"}}, "by": {"d": "area:district"}, "filter": "id < 50"}
    before = await ask(client, **question)
    then = datetime.now(UTC).isoformat()
    city.sql(settings, "UPDATE calls SET grade = 9, area = '430371' WHERE id < 20", role="app")
    city.sql(settings, "DELETE FROM calls WHERE id BETWEEN 20 AND 24", role="app")
    city.sql(settings, "UPDATE areas SET district = '430399' WHERE code = '430371'", role="app")
    changed = await ask(client, **question)
    past = await ask(client, **question, known_at=then)
    city.sql(settings, "UPDATE areas SET district = '430304' WHERE code = '430371'", role="app")
    assert past["rows"] == before["rows"] != changed["rows"]
    assert past["coverage"]["as_of"][:19] == then[:19]


async def test_dates_are_days_of_the_asked_zone(city: City, settings: Settings, client: httpx.AsyncClient) -> None:
    days = ["2026-03-07"] * 4 + ["2026-03-08"] * 3 + ["2026-03-09"] * 2
    for number, day in enumerate(days):
        city.sql(settings, f"INSERT INTO visits (id, day, score, recorded_by) VALUES ({number}, '{day}', {number}, 'test')", role="app")
    body = await ask(client, "toy.visits", measures={"n": {"fn": "count"}}, by={"day": "time:day"}, tz="America/Los_Angeles")
    assert body["rows"] == [["2026-03-07T00:00:00-08:00", 4], ["2026-03-08T00:00:00-08:00", 3]]
    assert body["coverage"]["suppressed"] == 1
    assert "rows" not in body["coverage"]["sources"][0]
    measures = {"first": {"fn": "min", "field": "day"}, "last": {"fn": "max", "field": "day"}, "mean": {"fn": "avg", "field": "score"}}
    plain = await ask(client, "toy.visits", measures=measures, by={"day": "day"})
    assert plain["rows"] == [["2026-03-07", "2026-03-07", "2026-03-07", 1.5], ["2026-03-08", "2026-03-08", "2026-03-08", 5.0]]
    nothing = await ask(client, "toy.visits", measures=measures, filter="score > 100")
    assert nothing["rows"] == [[None, None, None]]
    for asked, count in (
        ({"from": "2026-03-08T00:00:00-08:00"}, 5),
        ({"from": "2026-03-08T00:00:01-08:00", "until": "2026-03-12T00:00:00-07:00"}, None),
        ({"until": "2026-03-08T00:00:00-08:00"}, 4),
        ({"until": "2026-03-08T00:00:01-08:00"}, 7),
        ({"datetime": "2026-03-08T12:00:00-07:00"}, 3),
    ):
        total = await ask(client, "toy.visits", measures={"n": {"fn": "count"}}, tz="America/Los_Angeles", **asked)
        assert total["rows"] == ([[count]] if count else [])
