"""Stages of flood: four thresholds, hysteresis, every change along a flood wave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.water.levels.domain import MARGIN_M, STAGES, Stage, changes, stage_of

FOUR: dict[Stage, float] = {"blue": 37.0, "yellow": 38.0, "orange": 39.5, "red": 41.0}
CASES = [
    (36.99, "none", "none"), (37.0, "none", "blue"), (41.0, "none", "red"), (37.95, "yellow", "yellow"), (37.9, "yellow", "blue"),
    (37.95, "blue", "blue"), (36.95, "red", "blue"), (30.0, "red", "none"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "before", "stage"), CASES)
def test_a_stage_begins_at_its_threshold_and_ends_a_tenth_below(level: float, before: Stage, stage: Stage) -> None:
    assert stage_of(level, FOUR, before) == stage


def test_a_gauge_with_two_thresholds_has_two_stages_and_one_without_has_none() -> None:
    assert [stage_of(level, {"yellow": 38.0, "red": 41.0}) for level in (37.5, 39.9, 41.2)] == ["none", "yellow", "red"]
    assert stage_of(99.0, {}) == "none"


@given(some.lists(some.floats(30, 45), max_size=40))
def test_changes_lead_from_stage_to_stage_and_each_passes_its_edge(levels: list[float]) -> None:
    wave = [(datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=place), level) for place, level in enumerate(levels)]
    found = list(changes(wave, FOUR, "none"))
    assert [change.before for change in found] == ["none", *(change.stage for change in found)][: len(found)]
    for change in found:
        rising = STAGES.index(change.stage) > STAGES.index(change.before)
        edge = FOUR[change.stage if rising else change.before]
        assert change.water_level >= edge if rising else change.water_level <= edge - MARGIN_M + 1e-6
