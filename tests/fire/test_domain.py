"""What is measured between which moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.fire.calls.domain import GOOD, STANDARDS, SUSPECT, Response, UnitTimes, durations, is_met, is_news, seconds, summed_up

START = datetime(2018, 2, 2, 8, 0, tzinfo=UTC)


def at(offset: float | None) -> datetime | None:
    return None if offset is None else START + timedelta(seconds=offset)


def times(**offsets: float) -> UnitTimes:
    return UnitTimes(START, **({"dispatched_at": START} | {name: at(offset) for name, offset in offsets.items()}))  # type: ignore[arg-type]


def test_a_response_is_measured_between_its_moments():
    measured = durations(times(dispatched_at=50, en_route_at=110, on_scene_at=300, available_at=3000))
    assert (measured.turnout_s, measured.travel_s, measured.response_s, measured.quality) == (60, 190, 300, GOOD)


def test_an_unknown_moment_leaves_its_durations_unknown():
    measured = durations(times(dispatched_at=50, on_scene_at=300))
    assert (measured.turnout_s, measured.travel_s, measured.response_s, measured.quality) == (None, None, 300, GOOD)


@pytest.mark.parametrize(
    "moments",
    [
        {"dispatched_at": -1},
        {"dispatched_at": 60, "en_route_at": 50},
        {"dispatched_at": 60, "on_scene_at": 300, "transport_at": 200},
        {"dispatched_at": 60, "transport_at": 400, "hospital_at": 300, "available_at": 500},
        {"dispatched_at": 60, "en_route_at": 100, "available_at": 90},
    ],
)
def test_moments_out_of_order_are_suspect(moments: dict[str, float]):
    assert durations(times(**moments)).quality == SUSPECT


def test_no_duration_is_ever_negative():
    assert seconds(at(10), at(9)) is None
    assert seconds(at(10), at(10)) == 0


def response(dispatched: float, on_scene: float | None, available: float | None = None, quality: int = GOOD) -> Response:
    return Response(START + timedelta(seconds=dispatched), at(on_scene), at(available), quality)


def test_a_call_is_answered_when_the_first_unit_is_on_scene():
    summed = summed_up(START, at(20), [response(60, 500, 900), response(50, None, 100), response(70, 300, 2000)])
    assert (summed.units, summed.handling_s, summed.response_s, summed.closed_at, summed.quality) == (3, 50, 300, at(2000), GOOD)


def test_an_arrival_before_the_call_does_not_answer_it():
    summed = summed_up(START, None, [response(60, -10, quality=SUSPECT), response(60, 400)])
    assert (summed.response_s, summed.quality) == (400, SUSPECT)


def test_a_call_stays_open_until_every_unit_is_available_again():
    assert summed_up(START, None, [response(60, 300, 900), response(60, 300)]).closed_at is None


def test_a_call_without_responses_has_no_times():
    summed = summed_up(START, at(-5), [])
    assert (summed.units, summed.response_s, summed.closed_at, summed.quality) == (0, None, None, SUSPECT)


@given(st.lists(st.tuples(st.floats(-1e4, 1e6), st.none() | st.floats(-1e4, 1e6)), min_size=1, max_size=20))
def test_the_response_time_is_that_of_some_unit_and_none_was_quicker(units: list[tuple[float, float | None]]):
    summed = summed_up(START, None, [response(dispatched, on_scene) for dispatched, on_scene in units])
    arrivals = [value for _, on_scene in units if (value := seconds(START, at(on_scene))) is not None]
    assert summed.response_s == (min(arrivals) if arrivals else None)


def test_a_call_recorded_late_is_no_news():
    assert is_news(START, START + timedelta(hours=6))
    assert not is_news(START, START + timedelta(hours=6, seconds=1))


@pytest.mark.parametrize(("counted", "within", "met"), [(0, 0, None), (10, 9, True), (10, 8, False), (100, 90, True)])
def test_a_standard_is_met_by_its_share(counted: int, within: int, met: bool | None):
    assert is_met(STANDARDS[0], counted, within) is met


def test_a_standard_without_a_share_is_neither_met_nor_missed():
    jianbiao: Any = STANDARDS[-1]
    assert (jianbiao.limit_s, is_met(jianbiao, 10, 10)) == (300, None)
