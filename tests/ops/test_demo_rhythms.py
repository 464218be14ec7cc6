"""The demo's chance and shapes: repeatable, plausible, within what the services take."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ops.demo import rhythms
from ops.demo.cities import CHANGSHA, CITIES, XIANGTAN, DemoCity
from ops.demo.crews import Task, Unit, next_report
from ops.demo.happenings import CALL_SHARES, Life
from ops.demo.measuring import Instruments
from services.env.observations.schemas import AIR
from services.fire.calls.schemas import CallIn
from services.food.inspections.schemas import InspectionReport
from services.food.samples.schemas import SampleIn, TestIn
from services.traffic.closures.schemas import ClosureIn
from services.traffic.incidents.schemas import IncidentIn
from services.worksafety.inventories.schemas import InventoryIn
from shared.row_models import RowModel

NOON = datetime(2026, 7, 15, 4, tzinfo=UTC)
NIGHT = datetime(2026, 7, 15, 19, tzinfo=UTC)
SCHEMAS: dict[str, list[type[RowModel]]] = {
    "call": [CallIn],
    "inspection": [InspectionReport],
    "sample": [SampleIn, TestIn],
    "stock": [InventoryIn],
    "road incident": [IncidentIn],
    "road works": [ClosureIn],
}


def test_the_same_seed_and_moment_give_the_same_readings_and_another_seed_others() -> None:
    first, again, other = (Instruments(XIANGTAN, seed) for seed in ("1", "1", "2"))
    for name in ("weather", "air", "traffic", "gas", "water"):
        assert getattr(first, name)(NOON) == getattr(again, name)(NOON)
        assert getattr(first, name)(NOON) != getattr(other, name)(NOON), name


def test_readings_keep_to_the_ranges_and_rules_of_the_service() -> None:
    ranges = {each.code: each for each in AIR.properties}
    for hours in range(0, 24 * 30, 7):
        at = NOON + timedelta(hours=hours)
        for row in Instruments(CHANGSHA, "7").weather(at).rows:
            assert ranges[row["property"]].minimum <= row["value"] <= ranges[row["property"]].maximum
        found = rhythms.air("7", "air-1", at)
        assert 0 < found["pm25"] <= found["pm10"]
        assert all(ranges[name].minimum <= value <= ranges[name].maximum for name, value in found.items())


def test_the_wind_turns_slowly_and_blows_over_the_city_alike() -> None:
    def apart(one: float, other: float) -> float:
        return abs((one - other + 180) % 360 - 180)

    for minutes in range(0, 24 * 60, 10):
        at = NOON + timedelta(minutes=minutes)
        here, later, there = rhythms.wind("1", "a", at), rhythms.wind("1", "a", at + timedelta(minutes=1)), rhythms.wind("1", "b", at)
        assert apart(here[0], later[0]) < 10
        assert apart(here[0], there[0]) < 15
        assert 0.4 <= here[1] < 6


def test_rush_hours_are_slow_and_nights_are_free() -> None:
    rush, night = datetime(2026, 7, 15, 9, 30, tzinfo=UTC), NIGHT
    codes = [f"loop-{number}" for number in range(20)]
    mean = {at: sum(rhythms.traffic("1", code, at)["speed"] for code in codes) / 20 for at in (rush, night)}
    assert mean[rush] < 0.7 * mean[night]
    assert sum(rhythms.traffic("1", code, rush)["volume"] for code in codes) > 3 * sum(rhythms.traffic("1", code, night)["volume"] for code in codes)


def test_gas_is_quiet_with_a_first_alarm_now_and_then() -> None:
    values = [rhythms.gas_ppm("1", f"S{number}", NOON + timedelta(minutes=minutes)) for number in range(5) for minutes in range(0, 10 * 1440, 2)]
    assert min(values) >= 0
    assert 0 < sum(value > 1 for value in values) / len(values) < 0.01


def test_calls_come_as_often_as_the_hour_has_them() -> None:
    chance = random.Random(1)
    means = {at: sum(rhythms.gap_s(chance, 75, rhythms.CALLS_BY_HOUR, at) for _ in range(4000)) / 4000 for at in (NOON, NIGHT)}
    assert means[NOON] == pytest.approx(75 / 1.3, rel=0.1)
    assert means[NIGHT] == pytest.approx(75 / 0.4, rel=0.15)


def test_kinds_of_calls_have_their_shares_and_the_core_has_most() -> None:
    life, chance = Life(XIANGTAN), random.Random(3)
    bodies = [life.call(NOON, chance)[0].body for _ in range(4000)]
    kinds = Counter(body["kind"] for body in bodies)
    for kind, share in CALL_SHARES.items():
        assert kinds[kind] / 4000 == pytest.approx(share / 100, abs=0.03), kind
    districts = Counter(body["area"][:6] for body in bodies)
    assert districts["430304"] > districts["430381"], "more in nine streets of the core than in twenty-two towns far off"


@pytest.mark.parametrize("city", CITIES.values(), ids=lambda city: city.en)
def test_whatever_happens_is_what_the_services_take(city: DemoCity) -> None:
    chance = random.Random(5)
    for happening in Life(city, speed=20).happenings():
        for _ in range(20):
            for request, schema in zip(happening.make(NOON, chance), SCHEMAS[happening.name], strict=True):
                for row in request.body if isinstance(request.body, list) else [request.body]:
                    schema.model_validate(row)


def test_made_up_numbers_say_so() -> None:
    life = Life(XIANGTAN)
    for make in (life.call, life.inspection, life.road_incident):
        assert make(NOON, random.Random(1))[0].body["number"].startswith("demo-")


def test_a_crew_goes_out_works_and_comes_home_twenty_times_as_fast_if_told() -> None:
    def way(speed: float, task: Task) -> list[tuple[str, datetime]]:
        unit, reports = Unit("fs-01-medic-6", "medic", "dispatched", NOON), []
        while (report := next_report(unit, task, speed)) is not None:
            reports.append(report)
            unit = Unit(unit.code, unit.kind, *report)
        return reports

    real, fast = (way(speed, Task("medical", travel_s=240)) for speed in (1, 20))
    assert [state for state, _ in real] == ["en_route", "on_scene", "transporting", "returning", "in_quarters"]
    assert [at for _, at in real] == sorted(at for _, at in real)
    assert timedelta(minutes=15) < real[-1][1] - NOON < timedelta(minutes=60)
    assert (fast[-1][1] - NOON) < timedelta(minutes=3)
    assert way(1, Task("hazmat", travel_s=240, goes_on=True))[-1][0] == "on_scene", "while something escapes, nobody leaves"
