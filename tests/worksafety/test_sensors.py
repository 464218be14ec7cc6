"""Sensors, their values, and alarms told once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.worksafety.conftest import Safety, counts, reasons, site

NOW = datetime.now(UTC).replace(microsecond=0)
SENSOR = {"code": "G1", "site": "S1", "property": "gas_ppm", "cas": "7782-50-5", "alarm_low": 0.5, "alarm_high": 1.0}


def value(number: float, minutes_ago: float, sensor: str = "G1", **others: Any) -> dict[str, Any]:
    return {"sensor": sensor, "property": "gas_ppm", "time": (NOW - timedelta(minutes=minutes_ago)).isoformat(), "value": number} | others


async def load(safety: Safety, *rows: dict[str, Any]) -> dict[str, Any]:
    return await safety.load("/observations", *rows, method="POST")


def told(safety: Safety) -> list[tuple[str, str, float]]:
    found = []
    for row in safety.events("worksafety.threshold.%"):
        data = json.loads(row["data"]) if isinstance(row["data"], str) else row["data"]
        found.append((data["sensor"], data["level"], data["value"]))
    return found


async def test_a_value_that_rises_above_a_threshold_is_told_once(safety: Safety) -> None:
    await safety.load("/sites", site())
    bad = SENSOR | {"code": "G2", "alarm_low": 2}
    assert reasons(await safety.load("/sensors", SENSOR, bad, SENSOR | {"code": "G3", "site": "S9"})) == {1: "value-error", 2: "unknown-site"}
    await load(safety, value(0.1, 50), value(0.7, 49), value(0.8, 48))
    await load(safety, value(0.9, 47))
    assert told(safety) == [("G1", "alarm_low", 0.7)]
    await load(safety, value(1.5, 46), value(0.2, 45), value(0.6, 44))
    assert told(safety)[1:] == [("G1", "alarm_high", 1.5), ("G1", "alarm_low", 0.6)]
    await load(safety, value(0.65, 44.5))  # late: what follows it had been told already
    assert len(told(safety)) == 3
    assert counts(await load(safety, value(0.6, 44))) == (0, 0, 1, 0)
    assert len(told(safety)) == 3


async def test_history_and_bad_values_raise_no_alarm_and_units_convert(safety: Safety) -> None:
    await safety.load("/sites", site())
    await safety.load("/sensors", SENSOR)
    await load(safety, value(9, 60 * 30), value(9, 3, quality=4))
    assert told(safety) == []
    await load(safety, value(900, 2, unit="[ppb]"))
    assert told(safety) == [("G1", "alarm_low", 0.9)]
    assert reasons(await load(safety, value(1, 1, unit="mg/m3"), value(1, 1, sensor="G9"))) == {0: "unknown-unit", 1: "unknown-sensor"}


async def test_thresholds_are_corrected_and_series_follow_their_site(safety: Safety) -> None:
    await safety.load("/sites", site())
    await safety.load("/sensors", SENSOR)
    assert reasons(await safety.load("/sensors", SENSOR | {"alarm_low": 0.1})) == {0: "conflict"}
    assert counts(await safety.load("/sensors", SENSOR | {"alarm_low": 0.1, "name": "一号"}, correct="true")) == (0, 1, 0, 0)
    await load(safety, value(0.2, 5))
    assert told(safety) == [("G1", "alarm_low", 0.2)]
    await safety.load("/sites", site(lon=112.95), correct="true")
    assert safety.rows("SELECT lon, name_zh FROM series") == [{"lon": 112.95, "name_zh": "一号"}]
    narrow = safety.headers(areas=["430302"])
    assert reasons(await safety.load("/sensors", SENSOR, headers=narrow)) == {0: "unknown-site"}
