"""Grades by the published thresholds; what may become of tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.hub.incidents.domain import Figures, decree_grade, grade_by_rule, is_overdue, may_become, provisional_grade, unfinished
from shared.vocabulary import IncidentGrade

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("figures", "grade"),
    [
        (Figures(deaths=30), 1),
        (Figures(deaths=29), 2),
        (Figures(deaths=10), 2),
        (Figures(deaths=9), 3),
        (Figures(deaths=3), 3),
        (Figures(deaths=2), 4),
        (Figures(serious_injuries=100), 1),
        (Figures(serious_injuries=99), 2),
        (Figures(serious_injuries=50), 2),
        (Figures(serious_injuries=49), 3),
        (Figures(serious_injuries=10), 3),
        (Figures(serious_injuries=9), 4),
        (Figures(loss_cny=100e6), 1),
        (Figures(loss_cny=99.9e6), 2),
        (Figures(loss_cny=50e6), 2),
        (Figures(loss_cny=10e6), 3),
        (Figures(loss_cny=9.99e6), 4),
        (Figures(deaths=0, serious_injuries=50, loss_cny=1e6), 2),
        (Figures(deaths=0), 4),
    ],
)
def test_accidents_are_graded_by_decree_493(figures: Figures, grade: int) -> None:
    assert decree_grade(figures) == IncidentGrade(grade)


@pytest.mark.parametrize(
    ("un", "people", "grade"),
    [("1017", None, 3), ("1203", None, 4), (None, None, 4), ("1017", 4_999, 4), ("1017", 5_000, 3), ("1203", 10_000, 2), (None, 50_000, 1)],
)
def test_a_release_is_graded_by_people_and_with_precaution_while_they_are_unknown(un: str | None, people: int | None, grade: int) -> None:
    assert provisional_grade(un, people) == IncidentGrade(grade)


def test_consequences_replace_the_provisional_grade() -> None:
    assert grade_by_rule(Figures(people_threatened=60_000), "1017") == (IncidentGrade.I, "provisional")
    assert grade_by_rule(Figures(people_threatened=60_000, deaths=3), "1017") == (IncidentGrade.III, "decree-493")


def test_tasks_end_once_and_are_overdue_until_then() -> None:
    assert may_become("assigned", "done") and may_become("declined", "waived") and not may_become("done", "declined") and not may_become("waived", "done")
    late = NOW - timedelta(seconds=1)
    assert is_overdue("acknowledged", late, NOW) and not is_overdue("done", late, NOW) and not is_overdue("assigned", None, NOW)
    assert unfinished(["done", "waived", "declined", "assigned"]) == 2
