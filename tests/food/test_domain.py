"""When an inspection counts as failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.food.inspections.domain import RULES, failed, is_news, rule_for

DAY = datetime(2016, 5, 13, tzinfo=UTC)
GENERAL, SAN_FRANCISCO = RULES


def test_a_registry_is_judged_by_its_own_rule_and_others_by_the_general_one():
    assert rule_for("sf-dph", DAY) is SAN_FRANCISCO
    assert rule_for("430300", DAY) is GENERAL


def test_the_edition_goes_by_the_day_of_the_inspection():
    newer = replace(GENERAL, edition="newer", since=DAY)
    assert rule_for("430300", DAY - timedelta(days=1), (*RULES, newer)) is GENERAL
    assert rule_for("430300", DAY, (*RULES, newer)) is newer
    assert rule_for("sf-dph", DAY, (*RULES, newer)) is SAN_FRANCISCO


@pytest.mark.parametrize(
    ("score", "risks", "general", "san_francisco"),
    [
        (100, [], False, False),
        (71, [], False, False),
        (70, ["low", "moderate"], False, True),
        (60, [], False, True),
        (59.9, [], True, True),
        (100, ["high"], True, False),
        (None, [], False, False),
        (None, ["high"], True, False),
    ],
)
def test_a_low_score_fails_and_a_high_risk_fails_where_the_rule_says_so(score: float | None, risks: list[str], general: bool, san_francisco: bool):
    assert failed(GENERAL, score, risks) is general
    assert failed(SAN_FRANCISCO, score, risks) is san_francisco


def test_a_failure_recorded_over_a_week_late_is_no_news():
    assert is_news(DAY, DAY + timedelta(days=7))
    assert not is_news(DAY, DAY + timedelta(days=7, seconds=1))
