"""What happens in the demo city: calls, road works, crashes, inspections, samples, stocks. Each is drawn by chance from what was furnished."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ops.demo.areas import KM_PER_DEGREE, town_places
from ops.demo.cities import DemoCity
from ops.demo.facts import LABORATORY, PLANTS, batches
from ops.demo.rhythms import CALLS_BY_HOUR, OFFICE_BY_HOUR, TRAFFIC_BY_HOUR
from ops.demo.roads import HALF_EAST, HALF_NORTH, STEP_M

CALL_SHARES = {
    "medical": 42,
    "alarm": 14,
    "traffic_collision": 12,
    "public_assistance": 6,
    "elevator_rescue": 5,
    "outside_fire": 4,
    "smoke_investigation": 4,
    "structure_fire": 3,
    "electrical_hazard": 3,
    "gas_leak": 2,
    "odor_investigation": 2,
    "vehicle_fire": 2,
    "water_rescue": 1,
}
"""Of a hundred calls. Shares, like all figures here, are assumptions of the demo."""
ROUTINE = {"public_assistance"}
ROAD_INCIDENTS = {"crash": 40, "breakdown": 30, "congestion": 15, "obstruction": 10, "signal_failure": 5}
FAILED_SHARE, EXCEEDS_SHARE = 0.06, 0.03
WORKS_MINUTES = 15, 40


class Request(NamedTuple):
    """One request to a service."""

    service: str
    method: str
    path: str
    body: Any


class Happening(NamedTuple):
    """Something that happens now and then: its mean interval in seconds, how that follows the hour, and what is reported."""

    name: str
    mean_s: float
    shape: tuple[float, ...]
    make: Callable[[datetime, random.Random], list[Request]]


class Life:
    """What can happen in one city. `speed` shortens what lasts, as it does the pauses between."""

    def __init__(self, city: DemoCity, speed: float = 1.0) -> None:
        self.city, self.speed = city, speed
        core = (city.lon, city.lat)
        self.towns = list(town_places(city).items())
        self.weights = [1 / (0.03 + math.dist(core, place)) for _, place in self.towns]
        self.premises = [row["number"] for batch in batches(city) if batch.path == "/premises" for row in batch.rows]

    def happenings(self) -> list[Happening]:
        return [
            Happening("call", 75, CALLS_BY_HOUR, self.call),
            Happening("inspection", 150, OFFICE_BY_HOUR, self.inspection),
            Happening("sample", 500, OFFICE_BY_HOUR, self.sample),
            Happening("stock", 240, OFFICE_BY_HOUR, self.stock),
            Happening("road incident", 260, TRAFFIC_BY_HOUR, self.road_incident),
            Happening("road works", 420, OFFICE_BY_HOUR, self.road_works),
        ]

    def call(self, now: datetime, chance: random.Random) -> list[Request]:
        kind = _drawn(CALL_SHARES, chance)
        call = {"number": _number(now), "kind": kind, "priority": "routine" if kind in ROUTINE else "emergency", "received_at": now.isoformat()}
        return [Request("fire", "POST", "/calls", call | self._place(chance))]

    def inspection(self, now: datetime, chance: random.Random) -> list[Request]:
        failed = chance.random() < FAILED_SHARE
        report: dict[str, Any] = {"number": _number(now), "inspected_at": now.isoformat(), "kind": "routine_unannounced"}
        report["score"] = chance.randint(42, 59) if failed else chance.randint(72, 99)
        report["findings"] = [{"code": "hygiene", "risk": "high" if failed else "low"}] if failed or chance.random() < 0.3 else []
        return [Request("food", "POST", f"/premises/{self.city.code}:{chance.choice(self.premises)}/inspections", report)]

    def sample(self, now: datetime, chance: random.Random) -> list[Request]:
        """Rice, tested for cadmium at once: the limit is 0.2 mg/kg (GB 2762-2022)."""
        number, result = _number(now), chance.uniform(0.22, 0.4) if chance.random() < EXCEEDS_SHARE else chance.uniform(0.02, 0.17)
        sample = {"number": number, "product": "cereal.rice", "premises": chance.choice(self.premises), "taken_at": now.isoformat()}
        test = {"number": number, "sample": number, "laboratory": LABORATORY, "analyte": "cadmium", "result": f"{result:.3f}", "unit": "mg/kg"}
        return [Request("food", "POST", "/samples", [sample]), Request("food", "POST", "/tests", [test | {"tested_at": now.isoformat()}])]

    def stock(self, now: datetime, chance: random.Random) -> list[Request]:
        """A tank is drawn from or filled, within what it may hold."""
        site, _, _, _, units = chance.choice(PLANTS)
        unit, _, _, substances = chance.choice(units)
        cas, design, usual = chance.choice(substances)
        row = {"site": site, "unit": unit, "substance": cas, "q_design": design, "q_now": round(min(design, usual * chance.uniform(0.9, 1.1)), 1)}
        return [Request("worksafety", "PUT", "/inventories?correct=true", [row | {"counted_at": now.isoformat()}])]

    def road_incident(self, now: datetime, chance: random.Random) -> list[Request]:
        severity = chance.choice(("none", "none", "possible", "minor"))
        row = {"number": _number(now), "kind": _drawn(ROAD_INCIDENTS, chance), "severity": severity, "occurred_at": now.isoformat()}
        return [Request("traffic", "POST", "/incidents", row | self._place(chance))]

    def road_works(self, now: datetime, chance: random.Random) -> list[Request]:
        """Half a kilometre of one street, closed for a while; it opens again by itself."""
        step_lat = STEP_M / 1000 / KM_PER_DEGREE
        step_lon = step_lat / math.cos(math.radians(self.city.lat))
        x, y = chance.randint(-HALF_EAST, HALF_EAST - 2), chance.randint(-HALF_NORTH, HALF_NORTH)
        line = [[round(self.city.lon + (x + step) * step_lon, 6), round(self.city.lat + y * step_lat, 6)] for step in range(3)]
        ends = now + timedelta(minutes=chance.uniform(*WORKS_MINUTES)) / self.speed
        works = {"reason": "works", "note": "demo", "ends_at": ends.isoformat(), "area": self.city.prefix}
        return [Request("traffic", "POST", "/closures", works | {"geometry": {"type": "LineString", "coordinates": line}})]

    def _place(self, chance: random.Random) -> dict[str, Any]:
        """A point in a town, those near the core more often."""
        [(code, (lon, lat))] = chance.choices(self.towns, self.weights)
        return {"area": code, "lon": round(lon + chance.gauss(0, 0.006), 5), "lat": round(lat + chance.gauss(0, 0.005), 5), "crs": "wgs84"}


def _number(now: datetime) -> str:
    """Numbers of the demo begin with its name, so that nobody takes them for others."""
    return f"demo-{now:%Y%m%d%H%M%S%f}"


def _drawn(shares: dict[str, int], chance: random.Random) -> str:
    return chance.choices(list(shares), list(shares.values()))[0]
