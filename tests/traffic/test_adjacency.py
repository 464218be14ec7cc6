"""Adjacency of detectors: pairs with a weight, each taken once, corrected with their past kept, seen by the area of the first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from tests.shared.roads.grid import at
from tests.traffic.conftest import Traffic

ITEMS = "/collections/traffic.adjacency/items"


def pair(start: str, end: str, weight: Any) -> dict[str, Any]:
    return {"from_detector": start, "to_detector": end, "weight": weight}


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """Taken, corrected, duplicates, rejected."""
    return answer["taken"], answer["corrected"], answer["duplicates"], answer["rejected"]


@pytest.fixture
async def detectors(traffic: Traffic) -> Traffic:
    """A and B in one district, C in another."""
    lon, lat = at(5, 5)
    rows = [{"code": code, "area": area, "lon": lon, "lat": lat, "crs": "wgs84"} for code, area in (("A", "430304"), ("B", "430304"), ("C", "430302"))]
    assert (await traffic.call("PUT", "/detectors", rows))["taken"] == 3
    return traffic


async def weights(traffic: Traffic, **asked: Any) -> dict[str, float]:
    found = await traffic.call("GET", ITEMS, **asked)
    return {each["id"]: each["properties"]["weight"] for each in found["features"]}


async def test_pairs_are_taken_once_and_another_weight_waits_for_the_word(detectors: Traffic) -> None:
    rows = [pair("A", "A", 1), pair("A", "B", 0.5), pair("B", "A", 0.25)]
    assert counts(await detectors.call("PUT", "/adjacency", rows)) == (3, 0, 0, 0)
    assert counts(await detectors.call("PUT", "/adjacency", [*rows, rows[1]])) == (0, 0, 4, 0)
    before = datetime.now(UTC).isoformat()
    refused = await detectors.call("PUT", "/adjacency", [pair("A", "B", 0.75), pair("B", "A", 0.25)])
    assert counts(refused) == (0, 0, 1, 1)
    [error] = refused["errors"]
    assert (error["row"], error["code"]) == (0, "conflict") and "another weight" in error["detail"]
    assert counts(await detectors.call("PUT", "/adjacency", [pair("A", "B", 0.75)], correct="true")) == (0, 1, 0, 0)
    assert await weights(detectors) == {"A:A": 1, "A:B": 0.75, "B:A": 0.25}
    assert (await weights(detectors, known_at=before))["A:B"] == 0.5
    assert {row["recorded_by"] for row in detectors.sql("SELECT recorded_by FROM adjacency UNION SELECT recorded_by FROM adjacency_history")} == {"client:test"}


@pytest.mark.parametrize(
    ("row", "code", "pointer"),
    [
        (pair("A", "B", 0), "greater-than", "/1/weight"),
        (pair("A", "B", -0.1), "greater-than", "/1/weight"),
        (pair("A", "B", 1.000001), "less-than-equal", "/1/weight"),
        (pair("A", "B", "much"), "float-parsing", "/1/weight"),
        (pair("X", "B", 0.5), "unknown-detector", "/1/from_detector"),
        (pair("A", "Y", 0.5), "unknown-detector", "/1/to_detector"),
        ({"from_detector": "A", "to_detector": "B"}, "missing", "/1/weight"),
    ],
)
async def test_a_row_that_cannot_be_is_rejected_by_itself(detectors: Traffic, row: dict[str, Any], code: str, pointer: str) -> None:
    answer = await detectors.call("PUT", "/adjacency", [pair("B", "B", 1), row])
    assert counts(answer) == (1, 0, 0, 1)
    [error] = answer["errors"]
    assert (error["code"], error["pointer"]) == (code, pointer)
    assert code != "unknown-detector" or repr(row[pointer.removeprefix("/1/")]) in error["detail"]


async def test_a_pair_with_two_weights_in_one_batch_is_not_taken(detectors: Traffic) -> None:
    answer = await detectors.call("PUT", "/adjacency", [pair("A", "B", 0.5), pair("A", "B", 0.6), pair("B", "A", 0.5)])
    assert counts(answer) == (1, 0, 0, 2)
    assert {error["code"] for error in answer["errors"]} == {"contradictory"}


async def test_the_area_of_a_pair_is_that_of_its_first_detector_and_follows_it(detectors: Traffic) -> None:
    assert counts(await detectors.call("PUT", "/adjacency", [pair("A", "C", 0.5), pair("C", "A", 0.5)])) == (2, 0, 0, 0)
    there = detectors.headers(areas=["430304"])
    assert await weights(detectors, headers=there) == {"A:C": 0.5}
    before = datetime.now(UTC).isoformat()
    moved = {"code": "A", "area": "430302"}
    assert (await detectors.call("PUT", "/detectors", [moved], correct="true"))["corrected"] == 1
    assert await weights(detectors, headers=there) == {}
    assert await weights(detectors, headers=there, known_at=before) == {"A:C": 0.5}
    assert counts(await detectors.call("PUT", "/adjacency", [pair("A", "C", 0.5)])) == (0, 0, 1, 0)


async def test_a_pair_waits_for_a_detector_that_is_being_moved(detectors: Traffic) -> None:
    moving = await asyncpg.connect(detectors.settings.database_url.get_secret_value())
    try:
        async with moving.transaction():
            await moving.execute("UPDATE detectors SET area = '430302', recorded_by = 'mover' WHERE code = 'A'")
            load = asyncio.create_task(detectors.call("PUT", "/adjacency", [pair("A", "B", 0.5)]))
            async with asyncio.timeout(20):
                while not await moving.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"):
                    await asyncio.sleep(0.01)
            assert not load.done()
        assert counts(await load) == (1, 0, 0, 0)
    finally:
        await moving.close()
    assert [row["area"] for row in detectors.sql("SELECT area FROM adjacency")] == ["430302"]


async def test_a_writer_of_one_area_learns_nothing_of_another_and_corrects_nothing_there(detectors: Traffic) -> None:
    assert counts(await detectors.call("PUT", "/adjacency", [pair("A", "B", 0.5), pair("C", "A", 0.5)])) == (2, 0, 0, 0)
    mine = detectors.headers(areas=["430304"])
    rows = [pair("A", "C", 0.4), pair("C", "A", 0.4), pair("A", "nobody", 0.4), pair("A", "B", 0.4)]
    answer = await detectors.call("PUT", "/adjacency", rows, headers=mine, correct="true")
    assert counts(answer) == (0, 1, 0, 3)
    assert [error["code"] for error in answer["errors"]] == ["unknown-detector"] * 3
    assert await weights(detectors) == {"A:B": 0.4, "C:A": 0.5}
    await detectors.call("PUT", "/adjacency", rows, headers=detectors.headers("traffic:read"), status=403)


async def test_aggregates_and_csv_know_the_weights(detectors: Traffic) -> None:
    text = "from_detector,to_detector,weight\nA,B,0.5\nB,A,0.25\n"
    sent = await detectors.client.put("/adjacency", content=text, headers=detectors.headers() | {"Content-Type": "text/csv"})
    assert sent.status_code == 200 and sent.json()["taken"] == 2, sent.text
    question = {"measures": {"near": {"fn": "sum", "field": "weight"}}, "by": {"from": "from_detector"}}
    answer = await detectors.call("POST", "/collections/traffic.adjacency/aggregate", question)
    assert sorted(answer["rows"]) == [["A", 0.5], ["B", 0.25]]
