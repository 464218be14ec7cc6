"""When an overview serves once more, what a list leaves out, what may be called complete."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.hub.console.domain import AT_MOST_EVERY_S, CALM_S, LISTS, Moment, added_up, is_complete, still_serves

UP, DOWN = (("430300/fire", "up"),), (("430300/fire", "down"),)


@pytest.mark.parametrize(
    ("age_s", "now", "after", "serves"),
    [
        (0, Moment(5, UP), 5, True),
        (AT_MOST_EVERY_S - 0.1, Moment(9, UP), 5, True),
        (AT_MOST_EVERY_S - 0.1, Moment(9, UP), 6, False),
        (AT_MOST_EVERY_S + 0.1, Moment(5, UP), 0, True),
        (AT_MOST_EVERY_S + 0.1, Moment(6, UP), 0, False),
        (AT_MOST_EVERY_S + 0.1, Moment(5, DOWN), 0, False),
        (CALM_S + 0.1, Moment(5, UP), 0, False),
        (0, Moment(5, UP), 10**6, True),
    ],
)
def test_an_overview_serves_while_it_knows_all_that_the_asker_knows_and_nothing_has_happened(age_s: float, now: Moment, after: int, serves: bool) -> None:
    assert still_serves(Moment(5, UP), age_s, now, after) is serves


def test_cells_add_up_by_place_and_by_hour() -> None:
    rows = [
        ("430302", "430302003", "10:00", 2, 80.0),
        ("430302", "430302003", "11:00", 1, 30.0),
        ("430302", None, "11:00", 1, 50.0),
        ("430304", None, "11:00", 0, None),
    ]
    places, hours = added_up(rows)
    assert places == [["430302", None, 1, 50.0], ["430302", "430302003", 3, 110.0]]
    assert hours == [["430302", "10:00", 2, 80.0], ["430302", "11:00", 2, 80.0]]


def test_a_list_names_only_conditions_on_fields_that_are_declared() -> None:
    closures = next(listed for listed in LISTS if listed.id == "closures")
    now = datetime(2026, 11, 22, 8, tzinfo=UTC)
    assert closures.filter({"ended_at"}, now) == "ended_at IS NULL"
    assert closures.filter({"ends_at"}, now) == "(ends_at IS NULL OR ends_at > TIMESTAMP('2026-11-22T08:00:00Z'))"
    assert closures.filter({"area"}, now) is None


def part(state: str, complete: bool = True) -> dict[str, Any]:
    return {"state": state, "coverage": {"complete": complete, "sources": [{"source": "a", "status": "ok" if complete else "error"}]}}


@pytest.mark.parametrize(
    ("parts", "healths", "complete"),
    [
        ([part("ok"), part("absent", False)], ["up"], True),
        ([part("ok"), part("ok", False)], ["up"], False),
        ([part("ok"), part("failed", False)], ["up"], False),
        ([part("ok")], ["up", "down"], False),
        ([part("ok")], ["unknown"], False),
        ([part("absent", False)], ["up"], False),
    ],
)
def test_complete_is_said_only_when_all_asked_answered_and_no_sector_is_silent(parts: list[dict[str, Any]], healths: list[str], complete: bool) -> None:
    sources = [{"name": f"sector-{number}", "kind": "sector", "health": health} for number, health in enumerate(healths)]
    assert is_complete(parts, sources) is complete
    assert is_complete([part("ok")], [{"name": "a", "kind": "sector", "health": "down"}]), "it missed a heartbeat and answered all the same"
