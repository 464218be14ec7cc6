"""Loads of values: new, repeated, contradictory, corrected, at once; roll-ups equal to what the values say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text

from shared.caller import Caller
from shared.series.rollups import roll_up
from tests.shared.series.conftest import NOW, Gauges, at, counts


async def test_new_values_are_taken_and_rolled_up(gauges: Gauges) -> None:
    rng = np.random.default_rng(1)
    rows = [("g1", at(hour), round(float(rng.normal(0, 2)), 3)) for hour in np.arange(0, 50, 0.1)]
    for part in range(4):
        assert counts(await gauges.load(rows[part::4])) == (125, 0, 0, 0)
    gauges.assert_hours_match_the_values()


async def test_roll_ups_of_large_numbers_keep_their_spread(gauges: Gauges) -> None:
    base = 99.0
    for part in range(3):
        await gauges.load([("g1", at(minute / 60), base + 1e-7 * minute) for minute in range(part, 60, 3)])
    spread = gauges.sql("SELECT m2 FROM observations_hourly")[0][0]
    assert spread == pytest.approx(60 * np.var(base + 1e-7 * np.arange(60)), rel=1e-6)


async def test_the_same_value_again_is_a_duplicate_and_counts_once(gauges: Gauges) -> None:
    rows = [("g1", at(hour), hour) for hour in range(5)]
    await gauges.load(rows)
    assert counts(await gauges.load([*rows, ("g1", at(5), 5.0)])) == (1, 0, 5, 0)
    gauges.assert_hours_match_the_values()


async def test_another_value_is_a_conflict_that_changes_nothing(gauges: Gauges) -> None:
    await gauges.load([("g1", at(0), 1.0)])
    loaded = await gauges.load([("g1", at(0), 2.0), ("g1", at(1), 3.0)])
    assert counts(loaded) == (1, 0, 0, 1)
    [error] = loaded.answer.errors
    assert (error.row, error.pointer, error.code) == (0, "/0/value", "conflict")
    assert "recorded with 1" in error.detail
    assert [row["value"] for row in gauges.sql("SELECT value FROM observations ORDER BY time")] == [1.0, 3.0]
    gauges.assert_hours_match_the_values()


async def test_a_correction_keeps_the_old_value_with_who_and_when(gauges: Gauges) -> None:
    await gauges.load([("g1", at(0), 1.0), ("g1", at(0.5), 4.0)])
    other = Caller("client:b", "430300/gauges", frozenset(), ("*",))
    assert counts(await gauges.load([("g1", at(0), 2.0), ("g1", at(0.5), 4.0), ("g1", at(0.75), 9.0)], correct=True, caller=other)) == (1, 1, 1, 0)
    [now] = gauges.sql("SELECT value, recorded_by, recorded_at FROM observations WHERE time = $1", at(0))
    [before] = gauges.sql("SELECT value, recorded_by, recorded_at, superseded_at FROM observations_history")
    assert (now["value"], now["recorded_by"]) == (2.0, "client:b")
    assert (before["value"], before["recorded_by"]) == (1.0, "client:a")
    assert before["recorded_at"] < before["superseded_at"] == now["recorded_at"]
    gauges.assert_hours_match_the_values()


async def test_a_late_repetition_undoes_no_correction(gauges: Gauges) -> None:
    await gauges.load([("g1", at(0), 1.0)])
    await gauges.load([("g1", at(0), 2.0)], correct=True)
    assert counts(await gauges.load([("g1", at(0), 1.0)])) == (0, 0, 0, 1)
    assert gauges.sql("SELECT value FROM observations")[0][0] == 2.0


async def test_a_flag_can_be_corrected_and_bad_values_leave_the_roll_up(gauges: Gauges) -> None:
    await gauges.load([("g1", at(0), 1.0), ("g1", at(0.5), 99.0), ("g1", at(1), 5.0)])
    flagged = [{"gauge": "g1", "property": "level", "time": at(hour).isoformat(), "value": value, "quality": 4} for hour, value in ((0.5, 99.0), (1, 5.0))]
    assert counts(await gauges.load(flagged, correct=True)) == (0, 2, 0, 0)
    assert [(row["count"], row["max"]) for row in gauges.sql("SELECT count, max FROM observations_hourly")] == [(1, 1.0)]
    gauges.assert_hours_match_the_values()


async def test_contradictory_rows_of_one_batch_are_all_rejected(gauges: Gauges) -> None:
    for correct in (False, True):
        loaded = await gauges.load([("g1", at(0), 1.0), ("g1", at(1), 5.0), ("g1", at(0), 2.0), ("g1", at(1), 5.0)], correct=correct)
        assert counts(loaded)[3] == 2
        assert [(error.row, error.code) for error in loaded.answer.errors] == [(0, "contradictory"), (2, "contradictory")]
    assert [row["value"] for row in gauges.sql("SELECT value FROM observations")] == [5.0]


async def test_two_loads_of_the_same_rows_at_once_take_each_row_once(gauges: Gauges) -> None:
    rows = [("g1", at(hour / 10), hour / 10) for hour in range(1000)]
    rng = np.random.default_rng(5)
    shuffled = [[rows[place] for place in rng.permutation(len(rows))] for _ in range(4)]
    loaded = await asyncio.gather(*(gauges.load(part, now=NOW) for part in shuffled))
    assert sorted(counts(one)[0] for one in loaded) == [0, 0, 0, 1000]
    assert sum(counts(one)[2] for one in loaded) == 3000
    gauges.assert_hours_match_the_values()


async def test_loads_and_corrections_of_the_same_hours_at_once_leave_true_roll_ups(gauges: Gauges) -> None:
    await gauges.load([("g1", at(minute / 60), 1.0) for minute in range(0, 600, 2)])
    work = [gauges.load([("g1", at(minute / 60), 3.0) for minute in range(0, 600, 4)], correct=True)]
    work += [gauges.load([("g1", at(minute / 60), 2.0) for minute in range(1 + 2 * part, 600, 6)]) for part in range(3)]
    assert sum(counts(one)[0] + counts(one)[1] for one in await asyncio.gather(*work)) == 150 + 300
    gauges.assert_hours_match_the_values()


async def test_an_hour_that_ends_at_midnight_belongs_to_the_day_before(gauges: Gauges) -> None:
    await gauges.load([("g2", datetime(2026, 11, 1, 16, tzinfo=UTC), 1.0)])  # midnight in Shanghai, the end of 1 November
    assert gauges.sql("SELECT time FROM observations")[0][0] == datetime(2026, 11, 1, 15, tzinfo=UTC)
    assert str(gauges.sql("SELECT date FROM observations_daily")[0][0]) == "2026-11-01"


async def test_partitions_are_made_for_the_months_of_a_batch_and_for_no_others(gauges: Gauges) -> None:
    await gauges.load([("g1", at(0), 1.0), ("g1", datetime(2013, 2, 28, 23, 59, tzinfo=UTC), 1.0)])
    names = gauges.sql("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass ORDER BY 1")
    assert [row[0] for row in names] == ["observations_2013_02", "observations_2026_11"]


@pytest.mark.parametrize("month", ["1850-01-01", "2030-01-01", "2026-11-02"])
async def test_no_partition_is_made_outside_the_window(gauges: Gauges, month: str) -> None:
    async with gauges.runtime.engine.connect() as connection:
        with pytest.raises(Exception, match="no partition for"):
            await connection.execute(text("SELECT make_observation_partition(CAST(CAST(:month AS text) AS date))"), {"month": month})


def test_roll_ups_are_what_numpy_says() -> None:
    rng = np.random.default_rng(2)
    which = np.sort(rng.integers(0, 5, 500).astype(np.int32))
    time = rng.integers(0, 20 * 3_600_000_000, 500)
    order = np.lexsort((time, which))
    value = rng.normal(0, 100, 500)
    hours = roll_up(which[order], time[order], value[order])
    for number in range(len(hours)):
        inside = value[(which == hours.series[number]) & (time // 3_600_000_000 * 3_600_000_000 == hours.hour[number])]
        assert hours.count[number] == len(inside)
        assert (hours.min[number], hours.max[number]) == (inside.min(), inside.max())
        assert hours.m2[number] == pytest.approx(inside.var() * len(inside), abs=1e-6)
