"""Gauges and readings over HTTP: stages follow the water, each change is told once, rights hold; the service keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.water.app import service
from tests.city import City
from tests.sector import AREAS, Sector, sector
from tests.services import served

NOW = datetime.now(UTC).replace(microsecond=0)


def gauge(code: str, area: str = "430302", **others: Any) -> dict[str, Any]:
    thresholds = {"blue": 37.0, "yellow": 38.0, "orange": 39.5, "red": 41.0}
    return {"code": code, "name_zh": f"测站{code}", "river": "湘江", "lon": 112.9, "lat": 27.86, "crs": "wgs84", "area": area, **thresholds, **others}


def readings(code: str, *levels: float, ago: timedelta = timedelta(hours=2)) -> list[dict[str, Any]]:
    """Water levels a minute apart, the first so long ago."""
    times = [(NOW - ago + timedelta(minutes=place)).isoformat() for place in range(len(levels))]
    return [{"gauge": code, "property": "water_level", "time": time, "value": level} for time, level in zip(times, levels, strict=True)]


@pytest.fixture
async def water(city: City) -> AsyncIterator[Sector]:
    async with sector(city, service) as made:
        assert (await made.load("PUT", "/gauges", [gauge("G1"), gauge("G2", "430304", lon=112.95)]))["taken"] == 2
        yield made


def told(water: Sector) -> list[tuple[str, str, str | None]]:
    """Stage before, stage after and warning level of each event."""
    return [(event["data"]["before"], event["data"]["stage"], event.get("warninglevel")) for event in water.events()]


async def test_a_flood_wave_is_told_stage_by_stage_and_a_repeated_load_tells_nothing(water: Sector) -> None:
    wave = readings("G1", 36.0, 37.2, 38.1, 37.95, 39.6, 38.0, 36.0)
    await water.load("POST", "/observations", wave)
    stages = [("none", "blue", "IV"), ("blue", "yellow", "III"), ("yellow", "orange", "II"), ("orange", "yellow", "III"), ("yellow", "none", None)]
    assert told(water) == stages
    assert (await water.load("POST", "/observations", wave))["duplicates"] == 7
    await water.load("POST", "/observations", readings("G1", 36.1, ago=timedelta(hours=1)))
    assert told(water) == stages
    assert water.rows("SELECT stage FROM stages") == ["none"]


async def test_what_is_corrected_bad_or_old_is_judged_as_it_is(water: Sector) -> None:
    await water.load("POST", "/observations", readings("G1", 42.0, ago=timedelta(hours=9)))
    await water.load("POST", "/observations", [{**row, "quality": 4} for row in readings("G2", 44.0)])
    assert told(water) == []
    await water.load("POST", "/observations", readings("G1", 41.5))
    await water.load("POST", "/observations", readings("G1", 36.5), correct=True)
    assert told(water) == [("none", "red", "I"), ("red", "none", None)]


async def test_the_stage_is_answered_within_the_rights_of_the_token(water: Sector) -> None:
    await water.load("POST", "/observations", readings("G2", 38.4, 38.5))
    answer = (await water.get("/stage", gauge="G2", areas=["430304"])).json()
    assert (answer["stage"], answer["water_level"], answer["river"]) == ("yellow", 38.4, "湘江")
    assert (await water.get("/stage", gauge="G1", areas=["430304"])).status_code == 404


async def test_thresholds_rise_and_a_token_writes_only_in_its_areas(water: Sector) -> None:
    answer = await water.load("PUT", "/gauges", [gauge("G3", yellow=40.0), gauge("G4"), gauge("G5", "430304")], areas=["430302"])
    assert (answer["taken"], [error["code"] for error in answer["errors"]]) == (1, ["value-error", "outside-areas"])
    assert (await water.load("PUT", "/gauges", [gauge("G1", "430304", blue=36.0)], correct=True))["corrected"] == 1
    assert set(water.rows("SELECT area FROM series WHERE feature = 'G1'")) == {"430304"}


async def test_the_service_keeps_the_contract(water: Sector) -> None:
    for code in ("G1", "G2"):
        await water.load("POST", "/observations", readings(code, *(36.0 + place / 7 for place in range(20))))
    report = await water.conformance()
    assert report.faults() == []
    assert report.conforms and report.count("passed") > 90


async def test_it_appears_at_the_hub_without_a_change_there(city: City, tmp_path: Path) -> None:
    async with served(city, tmp_path, ["hub", "water"]) as found:
        city.sql(found.settings["water"], AREAS)
        await found.send("PUT", "water", "/gauges", [gauge("G1")])
        await found.send("POST", "water", "/observations", readings("G1", 39.7))
        question = {"measures": {"n": {"fn": "count"}}, "by": {"s": "stage"}}
        counted = await found.send("POST", "hub", "/collections/water.stages/aggregate", question, "hub:query")
        assert (counted["rows"], counted["coverage"]["complete"]) == ([["orange", 1]], True)
        assert (await found.get("hub", "/lookups/water.stage", gauge="G1"))["answer"]["stage"] == "orange"
