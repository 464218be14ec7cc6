"""Crossings of limits by hours, and days of a place's own zone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from shared.datasets.history import settled
from shared.series import observations_daily, whole_hours
from shared.series.daily import days_as_known
from tests.shared.series.conftest import Gauges, at


async def crossed(gauges: Gauges, levels: Sequence[float], first: int = 0) -> list[int]:
    loaded = await gauges.load([("g2", at(hour + 1, 21), level) for hour, level in enumerate(levels, first)])
    return [int((crossing.hour - at(0, 21)) / timedelta(hours=1)) for crossing in loaded.crossings]


async def test_a_run_above_the_limit_is_one_crossing_however_it_is_loaded(gauges: Gauges) -> None:
    assert await crossed(gauges, [1, 6, 7, 8, 2, 9, 9]) == [1, 5]
    assert await crossed(gauges, [9, 1, 5, 5.1], first=7) == [10]


async def test_hours_that_come_late_do_not_announce_a_run_again(gauges: Gauges) -> None:
    assert await crossed(gauges, [6], first=3) == [3]
    assert await crossed(gauges, [6], first=2) == []
    assert await crossed(gauges, [6], first=5) == []  # the hour before is not there; the last one known was above
    assert await crossed(gauges, [1], first=6) == []
    assert await crossed(gauges, [6], first=7) == [7]


async def test_history_raises_no_crossing(gauges: Gauges) -> None:
    assert (await gauges.load([("g2", at(1, 1), 9.0)])).crossings == []


async def test_an_hour_of_minutes_crosses_once_when_it_is_valid(gauges: Gauges) -> None:
    values = [("g3", at(8 + minute / 60, 21), 6.0) for minute in range(60)]
    found = [len((await gauges.load(values[start : start + 5])).crossings) for start in range(0, 60, 5)]
    assert found == [0] * 8 + [1] + [0] * 3


async def test_a_correction_across_the_limit_is_a_crossing(gauges: Gauges) -> None:
    await gauges.load([("g2", at(1, 21), 1.0)])
    assert len((await gauges.load([("g2", at(1, 21), 9.0)], correct=True)).crossings) == 1
    assert len((await gauges.load([("g2", at(1, 21), 8.0)], correct=True)).crossings) == 0


async def days(gauges: Gauges, known_at: datetime | None = None) -> list[tuple[Any, ...]]:
    names = ("feature", "date", "day", "hours", "mean", "min", "max")
    async with gauges.runtime.engine.connect() as connection:
        moment = await settled(connection, known_at or datetime.now(UTC))
        found = []
        for source in [days_as_known(moment)] + ([observations_daily] if known_at is None else []):
            rows = await connection.execute(select(*(source.c[name] for name in names)).order_by(source.c.series, source.c.date))
            found.append([(*row[:4], round(row[4], 9), *row[5:]) for row in rows])
    assert all(rows == found[0] for rows in found)
    return found[0]


async def test_days_are_those_of_the_places_zone_whatever_its_offset(gauges: Gauges) -> None:
    start = datetime(2026, 11, 1, 15, tzinfo=UTC)
    await gauges.load([("g3", start + timedelta(minutes=minute), float(minute // 60)) for minute in range(180)])
    await gauges.load([("g4", datetime(2026, 11, 1, 15, 15, tzinfo=UTC) + timedelta(hours=hour), float(hour)) for hour in range(6)])
    found = [(row[0], str(row[1]), row[2].isoformat(), *row[3:]) for row in await days(gauges)]
    assert found == [
        ("g3", "2026-11-01", "2026-10-31T16:00:00+00:00", 1, 0.0, 0.0, 0.0),
        ("g3", "2026-11-02", "2026-11-01T16:00:00+00:00", 2, 1.5, 1.0, 2.0),
        ("g4", "2026-11-01", "2026-10-31T18:15:00+00:00", 3, 1.0, 0.0, 2.0),
        ("g4", "2026-11-02", "2026-11-01T18:15:00+00:00", 3, 4.0, 3.0, 5.0),
    ]


async def test_hours_with_too_few_values_do_not_count_in_a_day(gauges: Gauges) -> None:
    await gauges.load([("g3", at(minute / 60), 1.0) for minute in range(44)] + [("g3", at(1 + minute / 60), 2.0) for minute in range(45)])
    assert [row[3:] for row in await days(gauges)] == [(1, 2.0, 2.0, 2.0)]


async def test_a_day_as_it_was_known_does_not_see_the_correction(gauges: Gauges) -> None:
    await gauges.load([("g2", at(hour + 1), 1.0) for hour in range(3)])
    before = datetime.now(UTC)
    await asyncio.sleep(0.01)
    await gauges.load([("g2", at(1), 4.0)], correct=True)
    assert [row[4] for row in await days(gauges)] == [2.0]
    assert [row[4] for row in await days(gauges, before)] == [1.0]


@pytest.mark.parametrize(
    ("zone", "whole"),
    [("Asia/Shanghai", True), ("America/Los_Angeles", True), ("Asia/Kolkata", False), ("Australia/Lord_Howe", False), ("Asia/Kathmandu", False)],
)
def test_zones_know_whether_they_are_whole_hours_from_utc(zone: str, *, whole: bool) -> None:
    assert whole_hours(zone) is whole
