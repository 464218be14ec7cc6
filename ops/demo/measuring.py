"""What the demo's instruments report at a moment, as rows that the services load."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ops.demo import rhythms
from ops.demo.cities import DemoCity
from ops.demo.facts import Batch, batches

AIR_HOURS, TRAFFIC_MINUTES = 24, 3
"""How far back means over an interval are made up for, after a start or when a service was away."""


class Instruments:
    """The instruments of a furnished city, by their codes."""

    def __init__(self, city: DemoCity, seed: str) -> None:
        self.seed = f"{seed}/{city.code}"
        known = {(batch.service, batch.path): batch.rows for batch in batches(city)}
        self.stations = [row["code"] for row in known["env", "/stations"]]
        self.detectors = [row["code"] for row in known["traffic", "/detectors"]]
        self.sensors = [row["code"] for row in known["worksafety", "/sensors"]]
        self.gauges = [(row["code"], row["yellow"] - 4) for row in known["water", "/gauges"]]

    def weather(self, at: datetime) -> Batch:
        rows = []
        for station in self.stations:
            towards, speed = rhythms.wind(self.seed, station, at)
            values = {"wind_direction": towards, "wind_speed": speed, "temperature": rhythms.temperature(self.seed, station, at)}
            rows += _rows("station", station, at, values)
        return Batch("env", "POST", "/observations", rows)

    def air(self, at: datetime, since: datetime | None = None) -> Batch:
        """Means of the hours that are over, each at its beginning; those after `since` if given."""
        hours = over(at, timedelta(hours=1), AIR_HOURS, since)
        rows = [row for hour in hours for station in self.stations for row in _rows("station", station, hour, rhythms.air(self.seed, station, hour))]
        return Batch("env", "POST", "/observations", rows)

    def traffic(self, at: datetime, since: datetime | None = None) -> Batch:
        """Means of the minutes that are over, each at its beginning; those after `since` if given."""
        minutes = over(at, timedelta(minutes=1), TRAFFIC_MINUTES, since)
        rows = [row for minute in minutes for code in self.detectors for row in _rows("detector", code, minute, rhythms.traffic(self.seed, code, minute))]
        return Batch("traffic", "POST", "/observations", rows)

    def gas(self, at: datetime) -> Batch:
        rows = [row for code in self.sensors for row in _rows("sensor", code, at, {"gas_ppm": rhythms.gas_ppm(self.seed, code, at)})]
        return Batch("worksafety", "POST", "/observations", rows)

    def water(self, at: datetime) -> Batch:
        rows = [row for code, usual in self.gauges for row in _rows("gauge", code, at, {"water_level": rhythms.water_level(self.seed, code, usual, at)})]
        return Batch("water", "POST", "/observations", rows)


def over(at: datetime, length: timedelta, most: int, since: datetime | None) -> list[datetime]:
    """Beginnings of the newest intervals that are over at a moment, but not yet at `since`."""
    now, before = (int(moment.timestamp() // length.total_seconds()) for moment in (at, since or at - length * most))
    return [datetime.fromtimestamp(number * length.total_seconds(), at.tzinfo) for number in range(max(before, now - most), now)]


def _rows(feature: str, code: str, at: datetime, values: dict[str, float]) -> list[dict[str, Any]]:
    return [{feature: code, "property": name, "time": at.isoformat(), "value": value} for name, value in values.items()]
