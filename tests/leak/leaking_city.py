"""A small city on a grid of roads: a plant with chlorine, two fire stations, wind from the west, and the services that know of them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ops.demo.areas import demo_areas
from tests.city import City
from tests.services import Served, served

AREA = "430304"
LON, LAT = 112.94, 27.85
"""The plant, in the middle of the grid."""
STEP_LON, STEP_LAT = 0.00254, 0.00226
"""A quarter of a kilometre here."""
HALF = 20
"""Streets on each side of the plant."""
CHLORINE = "7782-50-5"


def junctions() -> Iterator[tuple[int, float, float]]:
    """Number, longitude and latitude of each junction."""
    for row in range(-HALF, HALF + 1):
        for column in range(-HALF, HALF + 1):
            yield number_of(column, row), LON + column * STEP_LON, LAT + row * STEP_LAT


def number_of(column: int, row: int) -> int:
    return (row + HALF) * (2 * HALF + 1) + column + HALF + 1


def streets() -> Iterator[tuple[int, int]]:
    """From junction to junction, both ways."""
    for row in range(-HALF, HALF + 1):
        for column in range(-HALF, HALF + 1):
            for right, up in ((1, 0), (0, 1)):
                if column + right <= HALF and row + up <= HALF:
                    here, there = number_of(column, row), number_of(column + right, row + up)
                    yield here, there
                    yield there, here


def road_files() -> tuple[str, str]:
    """The grid as nodes and arcs in CSV, 250 m at 36 km/h, with sirens at 54."""
    nodes, arcs = io.StringIO(), io.StringIO()
    writer = csv.writer(nodes)
    writer.writerow(["node", "lon", "lat", "off_road_access"])
    writer.writerows((number, f"{lon:.7f}", f"{lat:.7f}", 1) for number, lon, lat in junctions())
    writer = csv.writer(arcs)
    writer.writerow(["arc", "from", "to", "length_m", "t_regular_s", "t_sirens_s", "speed_regular_kmh"])
    writer.writerows((number, here, there, 250, 25, 16.7, 36) for number, (here, there) in enumerate(streets(), start=1))
    return nodes.getvalue(), arcs.getvalue()


async def furnish(city: Served) -> None:
    """Areas, a plant, roads, stations with units, and the wind."""
    await city.send("PUT", "hub", "/areas", list(demo_areas(cells=False)), scope="hub:admin")
    await plant(city)
    await roads(city)
    await brigade(city)
    await wind(city, from_deg=270, speed=3.0)


async def plant(city: Served) -> None:
    point = {"lon": LON, "lat": LAT, "crs": "wgs84", "area": AREA}
    await city.send("PUT", "worksafety", "/enterprises", [{"number": "E1", "name": "湘江化工", "area": AREA}])
    await city.send("PUT", "worksafety", "/sites", [{"number": "S1", "enterprise": "E1", "name": "湘江化工一厂", "exposed": 120, **point}])
    await city.send("PUT", "worksafety", "/units", [{"site": "S1", "number": "U1", "name": "液氯库", "kind": "storage"}])
    stored = {"site": "S1", "unit": "U1", "substance": CHLORINE, "q_design": 50, "q_now": 38, "counted_at": datetime.now(UTC).isoformat()}
    answer = await city.send("PUT", "worksafety", "/inventories", [stored])
    assert answer["taken"] == 1, answer


async def roads(city: Served) -> None:
    nodes, arcs = road_files()
    answer = await city.clients["traffic"].put(
        "/network",
        params={"source": "grid of the test"},
        files={"nodes": ("nodes.csv", nodes, "text/csv"), "arcs": ("arcs.csv", arcs, "text/csv")},
        headers=city.headers("traffic", "traffic:read traffic:write"),
    )
    assert answer.is_success, f"{answer.status_code} {answer.text}"


async def brigade(city: Served) -> None:
    stations = [
        {"code": "north", "name_zh": "北站", "lon": LON, "lat": LAT + 12 * STEP_LAT, "crs": "wgs84", "area": AREA},
        {"code": "east", "name_zh": "东站", "lon": LON + 15 * STEP_LON, "lat": LAT, "crs": "wgs84", "area": AREA},
    ]
    assert (await city.send("PUT", "fire", "/stations", stations))["taken"] == 2
    units = [
        {"code": f"{station['code']}-{kind}-{number}", "kind": kind, "station": station["code"]}
        for station in stations
        for kind in ("engine", "ladder", "rescue_squad", "chief", "medic", "support")
        for number in (1, 2)
    ]
    assert (await city.send("PUT", "fire", "/units", units))["taken"] == len(units)


async def wind(city: Served, *, from_deg: float, speed: float) -> None:
    """The wind as it is measured at the plant's own station now."""
    await city.send("PUT", "env", "/stations", [{"code": "mast", "name_zh": "气象杆", "lon": LON, "lat": LAT, "crs": "wgs84", "area": AREA}])
    series = [{"station": "mast", "property": name, "timing": "instant"} for name in ("wind_direction", "wind_speed")]
    await city.send("PUT", "env", "/series", series)
    now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    rows = [{"station": "mast", "property": name, "time": now, "value": value} for name, value in (("wind_direction", from_deg), ("wind_speed", speed))]
    answer = await city.send("POST", "env", "/observations", rows)
    assert answer["taken"] == 2, answer


async def leak(city: Served, **figures: Any) -> str:
    """Report that chlorine escapes at the plant; the release's id."""
    site = f"{city.code}:S1"
    answer = await city.send("POST", "worksafety", "/releases", {"site": site, "unit": "U1", "cas": CHLORINE, "rate_kg_s": 0.8, **figures})
    return str(answer["id"])


@asynccontextmanager
async def leaking_city(city: City, folder: Path, *names: str, **options: Any) -> AsyncIterator[Served]:
    """Such a city with the services named, or with the five that the leak crosses."""
    async with served(city, folder, names or ("hub", "worksafety", "env", "traffic", "fire"), **options) as found:
        await furnish(found)
        yield found
