"""Series: bulk loads, corrections with their history, roll-ups equal to what the values say, days in a place's own zone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from sqlalchemy import insert, select, text

from shared.body import Body, rows_of
from shared.caller import Caller
from shared.datasets.history import settled
from shared.series import (
    Limit,
    Loaded,
    NeverAbove,
    Observed,
    Property,
    SeriesDirectory,
    columns,
    hour_needs,
    load,
    observations_daily,
    series,
    units,
    whole_hours,
)
from shared.series.daily import days_as_known
from shared.series.rollups import roll_up
from shared.service import Runtime, Service, create_app
from shared.testing import running
from shared.vocabulary import Text
from tests.city import City

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
LEVELS = Observed(
    feature="gauge",
    properties=(
        Property(code="level", title=Text("水位", "Level"), unit="m", minimum=-10, maximum=100),
        Property(code="crest", title=Text("最高水位", "Crest"), unit="m", minimum=-10, maximum=100),
    ),
    never_above=(NeverAbove(lesser="level", greater="crest"),),
    limits=(Limit(property="level", value=5, source="test"),),
)
EVERYWHERE = Caller("client:a", "430300/gauges", frozenset(), ("*",))
service = Service(name="gauges", title=Text("水位站", "Gauges"), routers=[], metadata=series.metadata, series=True)
Row = tuple[str, datetime, float]


@dataclass(frozen=True, slots=True)
class Gauges:
    """Gauges g1 (instants), g2 (hours, by their end), g3 (minutes) and g4 (hours, a quarter of an hour off UTC)."""

    runtime: Runtime
    city: City
    directory: SeriesDirectory

    async def load(self, rows: Sequence[Row | dict[str, Any]], *, correct: bool = False, caller: Caller = EVERYWHERE, now: datetime = NOW) -> Loaded:
        sent = [row if isinstance(row, dict) else {"gauge": row[0], "property": "level", "time": row[1].isoformat(), "value": row[2]} for row in rows]
        found = rows_of(Body(orjson.dumps(sent), "application/json", b""), columns(LEVELS))
        async with self.runtime.sessions() as session, session.begin():
            return await load(session, found, LEVELS, self.directory, caller, now, correct=correct)

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        return self.city.sql(self.runtime.settings, statement, *arguments)

    def assert_hours_match_the_values(self) -> None:
        wrong = self.sql("""
            SELECT * FROM observations_hourly h FULL JOIN (
                SELECT series, date_trunc('hour', time, 'UTC') AS hour, count(*) AS count, sum(value) AS sum, avg(value) AS mean,
                    var_pop(value) * count(*) AS m2, min(value) AS min, max(value) AS max
                FROM observations WHERE quality <= 3 GROUP BY 1, 2
            ) v USING (series, hour)
            WHERE (h.count = v.count AND h.min = v.min AND h.max = v.max AND abs(h.sum - v.sum) < 1e-9 * (1 + abs(v.sum))
                AND abs(h.mean - v.mean) < 1e-9 * (1 + abs(v.mean)) AND abs(h.m2 - v.m2) < 1e-9 * (1 + v.m2)) IS NOT TRUE
        """)
        assert wrong == []


KINDS = {
    "g1": ("instant", None, "Asia/Shanghai"),
    "g2": ("end", 3600, "Asia/Shanghai"),
    "g3": ("begin", 60, "Asia/Shanghai"),
    "g4": ("begin", 3600, "Asia/Kathmandu"),
}
ROWS = [
    {
        "feature": name,
        "property": measured,
        "unit": "m",
        "timing": timing,
        "interval_s": interval,
        "hour_needs": hour_needs(interval),
        "timezone": zone,
        "whole_hours": whole_hours(zone),
        "area": "430302",
        "recorded_by": "test",
    }
    for name, (timing, interval, zone) in KINDS.items()
    for measured in ("level", "crest")
]


@pytest.fixture(scope="module")
async def runtime(city: City) -> AsyncIterator[Runtime]:
    app = create_app(service, city.settings(service))
    async with running(app):
        async with app.state.runtime.engine.begin() as connection:
            await connection.execute(insert(series), ROWS)
        yield app.state.runtime


@pytest.fixture
def gauges(runtime: Runtime, city: City) -> Gauges:
    found = Gauges(runtime, city, SeriesDirectory())
    found.sql("TRUNCATE observations, observations_hourly, observations_history")
    for (partition,) in found.sql("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'observations'::regclass"):
        found.sql(f"DROP TABLE {partition}")
    return found


def at(hour: float, day: int = 1) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour)


def counts(loaded: Loaded) -> tuple[int, int, int, int]:
    answer = loaded.answer
    return answer.taken, answer.corrected, answer.duplicates, answer.rejected


# loads


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


# checks


async def test_each_fault_rejects_its_row_and_no_other(gauges: Gauges) -> None:
    good = {"gauge": "g1", "property": "level", "time": "2026-11-01T00:00:00Z", "value": 1}
    faults: list[tuple[dict[str, Any], str]] = [
        ({"gauge": "g9"}, "unknown-gauge"),
        ({"gauge": "g\x00"}, "unknown-gauge"),
        ({"gauge": None}, "missing"),
        ({"property": "depth"}, "unknown-property"),
        ({"time": "2026-11-01T01:00:00"}, "time-without-zone"),
        ({"time": "2026-11-22T08:06:00Z"}, "in-the-future"),
        ({"time": "9999-12-31T23:59:59Z"}, "in-the-future"),
        ({"time": "1949-12-31T23:59:59Z"}, "too-early"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "too-early"),
        ({"value": 101}, "out-of-range"),
        ({"value": -9999}, "out-of-range"),
        ({"value": "high"}, "not-a-number"),
        ({"unit": "ug/m3"}, "unknown-unit"),
        ({"unit": "metre"}, "unknown-unit"),
        ({"unit": 5}, "not-a-text"),
        ({"quality": 9}, "unknown-quality"),
        ({"quality": True}, "unknown-quality"),
    ]
    rows = [good, *(good | fault for fault, _ in faults)]
    loaded = await gauges.load(rows)
    assert counts(loaded) == (1, 0, 0, len(faults))
    assert [(error.row, error.code) for error in loaded.answer.errors] == [(number, code) for number, (_, code) in enumerate(faults, 1)]


async def test_a_clock_a_little_ahead_is_tolerated_and_one_far_ahead_is_told(gauges: Gauges) -> None:
    loaded = await gauges.load([("g1", NOW + timedelta(minutes=4), 1.0), ("g1", NOW + timedelta(hours=1), 1.0)])
    assert counts(loaded) == (1, 0, 0, 1)
    assert "3600 s ahead of this service's clock (2026-11-22T08:00:00Z)" in loaded.answer.errors[0].detail


async def test_a_series_outside_the_callers_areas_does_not_exist(gauges: Gauges) -> None:
    abroad = Caller("client:c", "430300/gauges", frozenset(), ("1101",))
    loaded = await gauges.load([("g1", at(0), 1.0)], caller=abroad)
    assert [error.code for error in loaded.answer.errors] == ["unknown-gauge"]
    unknown = await gauges.load([("gX", at(0), 1.0)], caller=abroad)
    assert loaded.answer.errors[0].detail.replace("g1", "gX") == unknown.answer.errors[0].detail


async def test_all_errors_are_counted_and_the_first_hundred_listed(gauges: Gauges) -> None:
    answer = (await gauges.load([("g9", at(0), 1.0)] * 250 + [("g1", at(0), 1.0)])).answer
    assert (answer.taken, answer.rejected, len(answer.errors), answer.unlisted_errors) == (1, 250, 100, 150)


async def test_values_are_kept_in_the_unit_of_their_property(gauges: Gauges) -> None:
    rows = [
        {"gauge": "g1", "property": "level", "time": at(hour).isoformat(), "value": value, "unit": unit}
        for hour, (value, unit) in enumerate([(250, "cm"), (7, "m"), (1500, "mm")])
    ]
    await gauges.load(rows)
    assert [row[0] for row in gauges.sql("SELECT value FROM observations ORDER BY time")] == [2.5, 7, 1.5]


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (700, "ug/m3", "mg/m3", 0.7),
        (0.3, "mg/m3", "ug/m3", 300),
        (273.15, "K", "Cel", 0),
        (20, "Cel", "K", 293.15),
        (50, "[degF]", "Cel", 10),
        (1, "kPa", "hPa", 10),
        (36, "km/h", "m/s", 10),
    ],
)
def test_units_of_a_kind_convert(value: float, source: str, target: str, expected: float) -> None:
    found = units.convert(np.array([value], dtype=np.float64), source, target)
    assert found is not None
    assert found[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("source", "target"), [("[ppb]", "ug/m3"), ("m", "ug/m3"), ("UG/M3", "ug/m3")])
def test_units_of_different_kinds_do_not_convert(source: str, target: str) -> None:
    assert units.convert(np.array([1.0]), source, target) is None


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("lesser_first", [True, False])
async def test_values_that_contradict_each_other_are_kept_and_flagged(gauges: Gauges, *, together: bool, lesser_first: bool) -> None:
    rows = [
        {"gauge": "g1", "property": measured, "time": at(hour).isoformat(), "value": value}
        for measured, hour, value in (("level", 0, 3), ("crest", 0, 2), ("level", 1, 1), ("crest", 1, 2), ("level", 2, 9))
    ]
    ordered = sorted(rows, key=lambda row: (row["property"] == "level") is not lesser_first)
    for batch in [ordered] if together else [[row] for row in ordered]:
        assert counts(await gauges.load(batch))[3] == 0
    flagged = gauges.sql("SELECT s.property FROM observations o JOIN series s ON s.id = o.series WHERE o.quality = 3 ORDER BY 1 DESC")
    later = "crest" if lesser_first else "level"
    assert [row[0] for row in flagged] == (["level", "crest"] if together else [later])


# crossings


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


# days


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
