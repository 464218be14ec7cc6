"""The air quality index against breakpoints of the standard and values worked out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from services.env.air.domain import (
    HJ633_2012,
    HJ633_2026,
    POLLUTANTS,
    SCALE,
    Edition,
    daily_index,
    edition_of,
    greatest_eight_hours,
    hourly_index,
    individual_index,
    level_of,
    primary_pollutants,
    sliding_mean,
)

Numbers = NDArray[np.float64]
CLEAN = {"pm25": 10.0, "pm10": 20.0, "so2": 5.0, "no2": 15.0, "co": 0.5, "o3": 40.0}


def hours(count: int, **others: float | Numbers) -> dict[str, Numbers]:
    """Hourly means of clean air, but for some pollutants."""
    return {name: np.broadcast_to(np.asarray(others.get(name, CLEAN[name]), dtype=np.float64), (count,)).copy() for name in POLLUTANTS}


def index_of(edition: Edition, pollutant: str, concentration: float, *, hourly: bool = False) -> float:
    table = edition.hour if hourly else edition.day
    return float(individual_index(np.array([concentration]), table[pollutant])[0])


@pytest.mark.parametrize("edition", [HJ633_2012, HJ633_2026])
@pytest.mark.parametrize("pollutant", POLLUTANTS)
def test_each_breakpoint_has_the_index_of_the_table(edition: Edition, pollutant: str) -> None:
    for table in (edition.day, edition.hour):
        concentrations = table[pollutant][0]
        found = individual_index(np.array(concentrations, dtype=np.float64), table[pollutant])
        assert found.tolist() == list(SCALE[: len(concentrations)])


@pytest.mark.parametrize(
    ("pollutant", "concentration", "in_2012", "in_2026"),
    [
        ("pm25", 75, 100, 114),  # 2026: (150-100)/(115-60)·15+100 = 113.6
        ("pm25", 60, 82, 100),  # 2012: (100-50)/(75-35)·25+50 = 81.25
        ("pm25", 100, 132, 137),  # 131.25; 136.36
        ("pm25", 35, 50, 50),
        ("pm10", 150, 100, 112),  # 2026: 50/130·30+100 = 111.54
        ("pm10", 120, 85, 100),
        ("so2", 100, 75, 75),
        ("no2", 81, 101, 101),  # 100.5
        ("co", 3, 75, 75),
        ("o3", 180, 119, 119),  # 8 h: 50/55·20+100 = 118.2
    ],
)
def test_daily_indices_worked_out_by_hand(pollutant: str, concentration: float, in_2012: int, in_2026: int) -> None:
    assert index_of(HJ633_2012, pollutant, concentration) == in_2012
    assert index_of(HJ633_2026, pollutant, concentration) == in_2026


def test_an_index_is_rounded_up_but_not_for_the_noise_of_floating_point() -> None:
    assert index_of(HJ633_2012, "pm25", 35.1) == 51
    assert index_of(HJ633_2012, "pm25", (34.9 + 35.0 + 35.1) / 3) == 50
    assert index_of(HJ633_2012, "co", 0.1 + 0.2 + 0.7 + 1.0) == 50


def test_beyond_the_table_the_index_stays_at_its_end() -> None:
    assert index_of(HJ633_2012, "pm25", 900) == 500
    assert index_of(HJ633_2012, "o3", 1300, hourly=True) == 500


def test_the_edition_goes_by_the_day_of_observation() -> None:
    assert edition_of(date(2026, 2, 28)).name == "HJ 633-2012"
    assert edition_of(date(2026, 3, 1)).name == "HJ 633-2026"


def test_the_real_time_index_of_2012_takes_the_sliding_day_for_particles_that_of_2026_the_hour() -> None:
    air = hours(24, pm25=np.array([35.0] * 23 + [500.0]))
    assert hourly_index(air, HJ633_2012).by_pollutant["pm25"][-1] == 75  # mean 54.375: 50/40·19.375+50 = 74.2
    assert hourly_index(air, HJ633_2026).by_pollutant["pm25"][-1] == 500


def test_sulfur_dioxide_above_800_goes_by_its_daily_mean_in_2012_and_counts_200_in_2026() -> None:
    air = hours(24, so2=np.array([100.0] * 23 + [900.0]))
    assert hourly_index(air, HJ633_2012).by_pollutant["so2"][-1] == 92  # mean 133.3: 50/100·83.3+50 = 91.7
    assert hourly_index(air, HJ633_2026).by_pollutant["so2"][-1] == 200


def test_ozone_of_eight_hours_above_800_goes_by_the_hour_in_2012_and_counts_300_in_2026() -> None:
    air = hours(24, o3=np.array([50.0] * 8 + [900.0] * 8 + [50.0] * 8))
    assert daily_index(air, HJ633_2012).by_pollutant["o3"] == 350  # 1 h 900: 100/200·100+300
    assert daily_index(air, HJ633_2026).by_pollutant["o3"] == 300


def test_a_daily_mean_needs_twenty_valid_hours() -> None:
    gaps = np.full(24, 80.0)
    gaps[:4] = np.nan
    assert daily_index(hours(24, pm25=gaps), HJ633_2012).by_pollutant["pm25"] == 107  # 50/40·5+100 = 106.25
    gaps[4] = np.nan
    assert np.isnan(daily_index(hours(24, pm25=gaps), HJ633_2012).by_pollutant["pm25"])


def test_the_greatest_eight_hours_lie_within_the_day_and_need_six_valid_hours_each() -> None:
    ozone = np.array([100.0] * 8 + [0.0] * 16)
    ozone[:2] = np.nan
    assert greatest_eight_hours(ozone) == 100
    ozone[2] = np.nan
    assert greatest_eight_hours(ozone) == pytest.approx(500 / 6)  # the first window has five valid hours and does not count


def test_few_valid_eight_hours_count_only_above_the_limit() -> None:
    low, high = np.full(24, np.nan), np.full(24, np.nan)
    low[:8], high[:8] = 120.0, 170.0
    assert np.isnan(greatest_eight_hours(low))
    assert greatest_eight_hours(high) == 170


def test_a_sliding_mean_needs_its_share_of_valid_hours() -> None:
    assert np.isnan(sliding_mean(np.full(30, 5.0), 24, 20)[18])
    assert sliding_mean(np.full(30, 5.0), 24, 20)[19] == 5


def test_the_overall_index_is_the_greatest_and_unknown_where_nothing_is_known() -> None:
    air = hours(24, pm25=100.0)
    assert daily_index(air, HJ633_2012).overall == 132
    nothing = {name: np.full(24, np.nan) for name in POLLUTANTS}
    assert np.isnan(daily_index(nothing, HJ633_2012).overall)


def test_primary_pollutants_are_those_with_the_greatest_index_above_50() -> None:
    assert primary_pollutants({"pm25": 132, "pm10": 132, "o3": 80}) == ["pm25", "pm10"]
    assert primary_pollutants({"pm25": 50, "pm10": 20}) == []


@pytest.mark.parametrize(("index", "name"), [(50, "优"), (51, "良"), (100, "良"), (101, "轻度污染"), (200, "中度污染"), (300, "重度污染"), (301, "严重污染")])
def test_levels_have_the_names_of_the_standard(index: int, name: str) -> None:
    assert level_of(index).name.zh == name


def test_indices_of_many_days_are_those_of_each_day() -> None:
    rng = np.random.default_rng(7)
    air = {name: rng.uniform(0, 3 * CLEAN[name], (5, 40, 24)) for name in POLLUTANTS}
    together = daily_index(air, HJ633_2026).overall
    for station in range(5):
        for day in range(40):
            assert together[station, day] == daily_index({name: values[station, day] for name, values in air.items()}, HJ633_2026).overall
