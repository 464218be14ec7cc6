"""Each fault of a row, units, and values that contradict each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from shared.caller import Caller
from shared.series import units
from tests.shared.series.conftest import NOW, Gauges, at, counts


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
