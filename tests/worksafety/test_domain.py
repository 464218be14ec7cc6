"""Rules of work safety against the standards' figures and worked examples."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.worksafety.accidents.domain import accident_grade
from services.worksafety.card.domain import around, bearing_deg, distance_m, first_aid
from services.worksafety.inventories.domain import Stored, by_class, exposure_factor, graded, hazard_grade, hazard_index, quotient_sum
from services.worksafety.inventories.tables import BY_CAS, BY_CODE, HINTS, SUBSTANCES
from services.worksafety.sensors.domain import Reading, alarms
from shared.vocabulary import HazardGrade, IncidentGrade

CHLORINE = Stored("chlorine", q_design=50, critical=5, beta=4)
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("exposed", "alpha", "index", "grade"),
    [(0, 0.5, 20, "III"), (1, 1.0, 40, "III"), (29, 1.0, 40, "III"), (30, 1.2, 48, "III"), (50, 1.5, 60, "II"), (99, 1.5, 60, "II"), (100, 2.0, 80, "II")],
)
def test_fifty_tonnes_of_chlorine_grade_by_the_people_around(exposed: int, alpha: float, index: float, grade: str) -> None:
    """The project's own worked example: q/Q = 10, beta 4."""
    assert exposure_factor(exposed) == alpha
    assert hazard_index([CHLORINE], exposed) == index
    assert hazard_grade(index) is HazardGrade[grade]


def test_a_cold_store_of_ammonia_by_hand() -> None:
    """30 t ammonia (Q 10, beta 2), 60 people: S = 3; R = 1.5 x 2 x 3 = 9, grade IV; with 100 people R = 12, grade III."""
    ammonia = [Stored("ammonia", 30, 10, 2)]
    assert (graded(ammonia, 60).s, graded(ammonia, 60).r, graded(ammonia, 60).grade) == (3, 9, HazardGrade.IV)
    assert (graded(ammonia, 100).r, graded(ammonia, 100).grade) == (12, HazardGrade.III)


def test_a_tank_farm_of_several_substances_by_hand() -> None:
    """800 t methanol (Q 500, beta 1), 60 t LPG (Q 50, beta 1.5), 3 t hydrogen (Q 5, beta 1.5), 40 people.

    S = 1.6 + 1.2 + 0.6 = 3.4; sum of beta q/Q = 1.6 + 1.8 + 0.9 = 4.3; R = 1.2 x 4.3 = 5.16, grade IV.
    """
    farm = [Stored("methanol", 800, 500, 1), Stored("lpg", 60, 50, 1.5), Stored("hydrogen", 3, 5, 1.5)]
    grading = graded(farm, 40)
    assert (grading.s, grading.alpha, grading.r, grading.grade) == (3.4, 1.2, 5.16, HazardGrade.IV)
    assert [round(step.contribution, 9) for step in grading.steps] == [1.6, 1.8, 0.9]


def test_a_first_grade_source_by_hand() -> None:
    """3 t phosgene (Q 0.3, beta 20), 10 people: R = 1.0 x 20 x 10 = 200, grade I, the province's."""
    assert graded([Stored("phosgene", 3, 0.3, 20)], 10).grade is HazardGrade.I


def test_a_unit_is_a_source_from_the_sum_of_one_on() -> None:
    tenths = [Stored(str(part), 0.1, 1, 1) for part in range(10)]
    assert quotient_sum(tenths) == 1 and graded(tenths, 0).grade is HazardGrade.IV
    assert graded(tenths[:9], 0).grade is None
    assert graded([], 0).grade is None


def test_two_hundred_tonnes_of_sulphur_dioxide_as_a_published_worked_example_has_it() -> None:
    """A question of the examination for safety engineers, with its solution: 200 t of sulphur dioxide, Q 20 t, beta 2, 60 people, so alpha 1.5.

    R = 1.5 x (2 x 200 / 20) = 30, grade III (https://www.8fe.cn/test-question-282515.html). It names GB 18218 without a year; its figures are those of 2018.
    """
    dioxide = BY_CAS["7446-09-5"]
    grading = graded([Stored("sulphur dioxide", 200, dioxide.critical_t, dioxide.beta)], 60)
    assert (dioxide.critical_t, dioxide.beta, grading.alpha) == (20, 2, 1.5)
    assert (grading.r, grading.grade) == (30, HazardGrade.III)


def test_unknown_population_counts_as_the_gravest() -> None:
    assert hazard_index([CHLORINE], None) == hazard_index([CHLORINE], 100)


def test_the_grades_begin_at_their_bounds() -> None:
    assert [hazard_grade(index).name for index in (100, 99.99, 50, 49.99, 10, 9.99)] == ["I", "II", "II", "III", "III", "IV"]


def test_substances_outside_table_1_go_by_their_classes() -> None:
    assert by_class(["W5.4"]) == (5000, 1)
    assert by_class(["J2", "W5.1"]) == (10, 1.5)
    assert by_class([]) is None


def test_the_built_in_table_has_the_figures_of_the_file(shared_data: Path) -> None:
    with (shared_data / "worksafety" / "gb18218_2018_table1.csv").open(encoding="utf-8") as file:
        stated = {int(row["no"]): (row["name_zh"], float(row["threshold_t"])) for row in csv.DictReader(file)}
    assert {each.number: (each.name_zh, each.critical_t) for each in SUBSTANCES} == {each.number: stated[each.number] for each in SUBSTANCES}
    assert {f"gb18218-{number}" for number in stated} == BY_CODE.keys() | HINTS.keys()


def test_toxic_gases_have_the_beta_of_table_3_others_of_their_class() -> None:
    betas = {"7782-50-5": 4, "7664-41-7": 2, "75-44-5": 20, "7783-06-4": 5, "7647-01-0": 3, "68476-85-7": 1.5, "67-56-1": 1}
    assert {cas: BY_CAS[cas].beta for cas in betas} == betas
    assert BY_CODE["gb18218-45"].cas is None


def test_distance_and_bearing_of_one_degree_north_and_east() -> None:
    assert distance_m((0, 0), (0, 1)) == pytest.approx(111_195, abs=1)
    assert distance_m((0, 60), (1, 60)) == pytest.approx(55_597, abs=5)
    assert (bearing_deg((0, 0), (0, 1)), bearing_deg((0, 0), (1, 0)), bearing_deg((0, 0), (-1, 0))) == pytest.approx((0, 90, 270))


@pytest.mark.parametrize("lat", [0.0, 27.83, 60.0, 89.999, -90.0])
def test_the_box_holds_the_circle(lat: float) -> None:
    box = around(10, lat, 1000)
    for east, north in ((box.west - 1e-6, lat), (box.east + 1e-6, lat)):
        assert box.east - box.west >= 360 or distance_m((10, lat), (east, north)) > 1000
    assert distance_m((10, lat), (10, min(90, box.north))) >= 1000 or box.north >= 90


def test_first_aid_names_no_line_twice() -> None:
    lines = [line["en"] for line in first_aid(["J3", "W2"])]
    assert len(lines) == len(set(lines)) == 5


@pytest.mark.parametrize(
    ("deaths", "injured", "loss", "grade"),
    [(30, 0, 0, 1), (29, 0, 0, 2), (9, 50, 0, 2), (3, 0, 0, 3), (2, 9, 9_999_999, 4), (0, 0, 100_000_000, 1), (None, 10, None, 3), (0, None, None, 4)],
)
def test_accidents_are_graded_by_decree_493(deaths: int | None, injured: int | None, loss: float | None, grade: int) -> None:
    assert accident_grade(deaths, injured, loss) == IncidentGrade(grade)
    assert accident_grade(None, None, None) is None


def reading(value: float, before: float | None = None, after: float | None = None, age: timedelta = timedelta()) -> Reading:
    return Reading("S", NOW - age, value, before, after, alarm_low=1, alarm_high=2)


def test_a_value_alarms_once_as_it_rises() -> None:
    def levels(*readings: Reading) -> list[str]:
        return [alarm.level for alarm in alarms(readings, NOW)]

    assert levels(reading(1.5, 0.5)) == ["alarm_low"]
    assert levels(reading(2.5, 0.5)) == ["alarm_low", "alarm_high"]
    assert levels(reading(2.5, 1.5)) == ["alarm_high"]
    assert levels(reading(1.0, 0.5)) == levels(reading(1.5, 1.2)) == []
    assert levels(reading(1.5)) == ["alarm_low"]
    assert levels(reading(1.5, 0.5, after=1.7)) == []
    assert levels(reading(1.5, 0.5, age=timedelta(hours=7))) == []
