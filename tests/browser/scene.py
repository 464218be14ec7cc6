"""A day in the life of a small city, made from a seed: calls, air, inspections, so that the page has something to show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.demo.areas import demo_areas
from ops.demo.xiangtan import TOWNS
from tests.services import Served

KINDS = ("structure_fire", "vehicle_fire", "alarm", "gas_leak", "medical", "traffic_collision", "rescue", "public_assistance")
BUSY = {"430302": 5, "430304": 4, "430321": 2, "430381": 2, "430371": 2, "430373": 2, "430372": 1, "430382": 1}
"""How much happens in each district, relative to the others."""
STATIONS = {"430302": 68, "430304": 82, "430321": 45, "430381": 51, "430382": 28, "430373": 74}
"""Districts that measure, with a level of PM2.5 around which they stay."""


async def furnish(city: Served, *, cells: bool) -> None:
    """Areas, with or without polygons, calls of the last day, air by the hour, inspections; the same ones each time but for the date."""
    dice = random.Random(430300)
    now = datetime.now(UTC).replace(microsecond=0)
    await city.send("PUT", "hub", "/areas", list(demo_areas(cells=cells)), scope="hub:admin")
    await calls(city, dice, now)
    await air(city, dice, now)
    if "food" in city.apps:
        await inspections(city, dice, now)


def towns_of(district: str) -> list[str]:
    return [district + digits for digits in TOWNS[district].split()[::3]]


async def calls(city: Served, dice: random.Random, now: datetime) -> None:
    rows = []
    for number in range(260):
        district = dice.choices(list(BUSY), list(BUSY.values()))[0]
        ago = timedelta(minutes=400 + 1000 * dice.random() ** 0.8)  # long enough ago to be no news
        at = now - ago
        moments = {name: (at + timedelta(seconds=after)).isoformat() for name, after in (("dispatched_at", 55), ("en_route_at", 120), ("on_scene_at", 420))}
        area = dice.choice(towns_of(district)[:7])
        row = {"number": f"c{number}", "kind": dice.choice(KINDS), "priority": "emergency", "received_at": at.isoformat(), "area": area}
        rows.append({**row, "unit": "E1", "unit_kind": "engine", **moments})
    answer = await city.send("POST", "fire", "/responses", rows)
    assert answer["taken"] == len(rows), answer


async def air(city: Served, dice: random.Random, now: datetime) -> None:
    stations = [{"code": f"air-{code}", "name_zh": f"测站{code}", "lon": 112.9, "lat": 27.85, "crs": "wgs84", "area": code} for code in STATIONS]
    await city.send("PUT", "env", "/stations", stations)
    await city.send("PUT", "env", "/series", [{"station": each["code"], "property": "pm25", "timing": "begin", "interval_s": 3600} for each in stations])
    hour = now.replace(minute=0, second=0)
    rows: list[dict[str, Any]] = []
    for code, level in STATIONS.items():
        for back in range(1, 24):
            value = max(5.0, level * (1 + 0.35 * dice.uniform(-1, 1)) + 14 * ((back % 12) / 12))
            rows.append({"station": f"air-{code}", "property": "pm25", "time": (hour - timedelta(hours=back)).isoformat(), "value": round(value, 1)})
    answer = await city.send("POST", "env", "/observations", rows)
    assert answer["taken"] == len(rows), answer


async def inspections(city: Served, dice: random.Random, now: datetime) -> None:
    places = [dice.choice(towns_of(dice.choices(list(BUSY), list(BUSY.values()))[0])) for _ in range(9)]
    await city.send("POST", "food", "/premises", [{"number": f"p{n}", "name": f"餐馆{n}", "kind": "catering", "area": area} for n, area in enumerate(places)])
    for number in range(len(places)):
        at = now - timedelta(hours=dice.uniform(0.5, 22))
        inspection = {"number": f"i{number}", "inspected_at": at.isoformat(), "kind": "routine_unannounced", "score": 40 + number, "findings": []}
        await city.send("POST", "food", f"/premises/{city.code}:p{number}/inspections", inspection)


async def call(city: Served, number: str, area: str = "430302003", kind: str = "structure_fire") -> None:
    """A call that comes in now, and so becomes an event."""
    at = datetime.now(UTC).isoformat()
    await city.send("POST", "fire", "/calls", {"number": number, "kind": kind, "priority": "emergency", "received_at": at, "area": area})
