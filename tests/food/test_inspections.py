"""Inspections and findings: merged, joined, judged, told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.food.conftest import DINER, RECENTLY, Food, counts, reasons

NOW = RECENTLY.isoformat()
LONG_AGO = (RECENTLY - timedelta(days=400)).isoformat()


def inspection(number: str, at: str = NOW, score: float | None = 90, **values: Any) -> dict[str, Any]:
    return {"number": number, "premises": "19", "inspected_at": at, "kind": "routine_unannounced", "score": score} | values


def finding(number: str, at: str = NOW, risk: str = "low", **values: Any) -> dict[str, Any]:
    return {"number": number, "premises": "19", "found_at": at, "code": "103109", "risk": risk} | values


@pytest.fixture(autouse=True)
async def _diner(food: Food) -> None:
    await food.load("premises", DINER)


async def test_inspections_need_premises_and_a_time_that_can_be(food: Food):
    future = (RECENTLY + timedelta(days=2)).isoformat()
    found = await food.load(
        "inspections",
        inspection("1"),
        inspection("2", premises="20"),
        inspection("3", future),
        inspection("4", "2016-05-13T00:00:00"),
        inspection("5", score=101),
        inspection("6", kind="visit"),
        inspection("7", "1516-05-13T00:00:00Z"),
        {**inspection("8"), "inspected_at": 1_463_097_600},
    )
    assert reasons(found) == {
        1: "unknown-premises",
        2: "time-out-of-range",
        3: "value-error",
        4: "less-than-equal",
        5: "literal-error",
        6: "time-out-of-range",
        7: "value-error",
    }


async def test_premises_outside_the_token_do_not_exist_for_a_load(food: Food):
    found = await food.load("inspections", inspection("1"), headers=food.headers(areas=["4301"]))
    assert reasons(found) == {0: "unknown-premises"}


async def test_a_finding_joins_the_scored_inspection_of_its_premises_and_time(food: Food):
    await food.load("inspections", inspection("a", score=None), inspection("b"), inspection("c", LONG_AGO))
    await food.load("findings", finding("1"), finding("2", LONG_AGO), finding("3", (RECENTLY - timedelta(days=9)).isoformat()))
    assert [row["inspection"] for row in food.rows("findings")] == ["430300:b", "430300:c", None]


async def test_a_finding_waits_for_an_inspection_that_comes_later(food: Food):
    await food.load("findings", finding("1", risk="high"))
    assert food.events() == []
    await food.load("inspections", inspection("a"))
    assert food.rows("findings")[0]["inspection"] == "430300:a"
    assert food.events() == [("food.inspection.failed.v1", "premises/430300:19")]
    assert counts(await food.load("findings", finding("1", risk="high"))) == (0, 0, 1, 0)


async def test_a_finding_names_an_inspection_that_is_there_or_is_rejected(food: Food):
    await food.load("inspections", inspection("a"))
    named = {"number": "1", "inspection": "a", "code": "1", "risk": "low"}
    found = await food.load(
        "findings", named, named | {"number": "2", "inspection": "b"}, named | {"number": "3", "premises": "19"}, {"number": "4", "code": "1", "risk": "low"}
    )
    assert reasons(found) == {1: "unknown-inspection", 2: "value-error", 3: "value-error"}
    assert food.rows("findings")[0]["found_at"] == RECENTLY


async def test_a_recent_failure_is_told_once_and_an_old_one_never(food: Food):
    await food.load("inspections", inspection("a", score=50), inspection("b", LONG_AGO, score=50), inspection("c", score=95))
    assert [row["failed"] for row in food.rows("inspections")] == [True, True, False]
    assert food.events() == [("food.inspection.failed.v1", "premises/430300:19")]
    await food.load("inspections", inspection("a", score=50))
    await food.load("findings", finding("1", risk="high", inspection="a", premises=None, found_at=None))
    assert len(food.events()) == 1


async def test_a_correction_is_judged_anew(food: Food):
    await food.load("inspections", inspection("a", score=50))
    assert counts(await food.load("inspections", inspection("a", score=95), correct=True)) == (0, 1, 0, 0)
    assert food.rows("inspections")[0]["failed"] is False
    assert [(row["score"], row["failed"]) for row in food.rows("inspections_history")] == [(50, True)]


async def test_a_report_takes_the_inspection_with_all_that_was_found(food: Food):
    report = {
        "inspected_at": NOW,
        "kind": "complaint",
        "score": 88,
        "findings": [{"code": "1", "risk": "high"}, {"code": "1", "risk": "low", "description": "x"}],
    }
    answer = await food.client.post("/premises/430300:19/inspections", json=report, headers=food.headers() | {"Idempotency-Key": "r1"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["failed"], len(answer.json()["findings"])) == (True, 2)
    assert food.events() == [("food.inspection.failed.v1", "premises/430300:19")]
    told = food.city.sql(food.settings, "SELECT envelope->'data'->>'score' AS score, envelope->'data'->>'high_risks' AS high_risks FROM outbox")
    assert [tuple(row) for row in told] == [("88.0", "1")], "one event, told after the findings were taken"
    again = await food.client.post("/premises/430300:19/inspections", json=report, headers=food.headers() | {"Idempotency-Key": "r1"})
    assert again.json() == answer.json()
    assert len(food.rows("inspections")) == 1


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("/premises/430300:20/inspections", {}, 404),
        ("/premises/nonsense/inspections", {}, 404),
        ("/premises/430300:19/inspections", {"inspected_at": "2999-01-01T00:00:00Z"}, 422),
        ("/premises/430300:19/inspections", {"number": "a"}, 409),
        ("/premises/430300:19/inspections", {"score": "NaN"}, 422),
    ],
)
async def test_a_report_that_cannot_stand_leaves_nothing_behind(food: Food, path: str, change: dict[str, Any], status: int):
    await food.load("inspections", inspection("a"))
    report = {"inspected_at": NOW, "kind": "complaint", "score": 10, "findings": [{"code": "1", "risk": "high"}]} | change
    answer = await food.client.post(path, json=report, headers=food.headers())
    assert answer.status_code == status, answer.text
    assert ("correct it by POST /inspections?correct=true" in answer.text) == (status == 409)
    assert len(food.rows("inspections")) == 1
    assert food.rows("findings") == []
    assert food.events() == []


async def test_the_database_is_asked_as_often_for_a_thousand_rows_as_for_one(food: Food):
    before = (RECENTLY - timedelta(days=30)).isoformat()
    one = await _statements(food, [inspection("x", before)])
    many = await _statements(food, [inspection(str(number), before) for number in range(1000)])
    assert many == one


async def _statements(food: Food, rows: list[dict[str, Any]]) -> int:
    from sqlalchemy import event

    engine = food.client._transport.app.state.runtime.engine.sync_engine  # type: ignore[attr-defined]
    asked: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    await food.load("inspections", *rows)
    event.remove(engine, "before_cursor_execute", count)
    return len(asked)


async def test_nobody_corrects_or_learns_of_inspections_outside_the_areas_of_the_token(food: Food):
    await food.load("inspections", inspection("1", score=40))
    await food.load("findings", finding("f"))
    changsha = food.headers(areas=["4301"])
    await food.load("premises", DINER | {"number": "77", "area": "4301", "lon": None, "lat": None, "crs": None}, headers=changsha)
    for route, row in (("inspections", inspection("1", premises="77", score=99)), ("findings", finding("f", premises="77", risk="high"))):
        for correct in (False, True):
            found = await food.load(route, row, headers=changsha, correct=correct)
            assert reasons(found) == {0: "conflict"}
            assert found["errors"][0]["detail"] == "This number is already taken."
