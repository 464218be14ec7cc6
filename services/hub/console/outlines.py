"""The city's areas as they are drawn: names, and polygons made simple enough for a page, borders still shared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import shapely
from sqlalchemy import RowMapping, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.hub.console.domain import Moment
from services.hub.console.shared_answers import Made
from shared.areas import areas, version_query
from shared.config import Settings

MOST_VERTICES = 5_000
"""Of all polygons together; what is drawn on a screen needs no more, and the page stays small."""
COARSEST = 64
UNIT_DEG = 1e-5
"""Coordinates are sent as whole numbers of this unit, about a metre, each as the difference from the one before."""
_DRAWN = ("district", "town")


@dataclass(slots=True)
class Drawing:
    """The newest drawing of the area table, kept until the table changes or the day does."""

    key: tuple[Any, ...] = ()
    made: Made | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, reader: AsyncConnection, settings: Settings) -> Made:
        """The drawing of the table as it is now."""
        today = datetime.now(UTC).date()
        key = (str(await reader.scalar(version_query())), today)
        async with self.lock:
            if self.made is None or self.key != key:
                held = or_(areas.c.valid_from.is_(None), areas.c.valid_from <= today), or_(areas.c.valid_to.is_(None), areas.c.valid_to > today)
                columns = (areas.c.code, areas.c.level, areas.c.city, areas.c.district, areas.c.name_zh, areas.c.name_en, areas.c.kind, areas.c.geometry)
                query = select(*columns).where(areas.c.level.in_(("city", *_DRAWN)), *held).order_by(areas.c.code)
                rows = (await reader.execute(query)).mappings().all()
                content = await asyncio.to_thread(_drawn, rows, settings, key[0])
                self.key, self.made = key, Made.of(Moment(0, ()), 0.0, content)
            return self.made


def _drawn(rows: Sequence[RowMapping], settings: Settings, version: str) -> bytes:
    """Districts and towns of the city with the setting's code; of a table that has no such city, all of them."""
    cities = [row for row in rows if row["level"] == "city"]
    city = next((row for row in cities if settings.city in (row["code"], row["code"].ljust(6, "0"))), None)
    shown = [row for row in rows if row["level"] in _DRAWN and (city is None or row["city"] == city["code"])]
    shapes = simplified({row["code"]: row["geometry"] for row in shown if row["geometry"]})
    title = {"zh": city["name_zh"], "en": city["name_en"]} if city else {"zh": None, "en": None}
    listed = [
        {
            "code": row["code"],
            "level": row["level"],
            "district": row["district"],
            "zh": row["name_zh"],
            "en": row["name_en"],
            "functional": row["kind"] == "functional",
        }
        | ({"rings": shapes[row["code"]]} if row["code"] in shapes else {})
        for row in shown
    ]
    head = {"city": settings.city, "code": city["code"] if city else None, "name": title, "timezone": settings.timezone, "unit": UNIT_DEG}
    return orjson.dumps(head | {"version": version, "areas": listed})


def simplified(geometries: Mapping[str, Mapping[str, Any]]) -> dict[str, list[list[int]]]:
    """Each area's rings in whole units, delta-coded: `[x, y, dx, dy, …]`; outer and inner rings alike, to be filled by the even-odd rule."""
    if not geometries:
        return {}
    codes = sorted(geometries)
    whole = shapely.from_geojson([orjson.dumps(geometries[code]) for code in codes])
    west, south, east, north = shapely.total_bounds(whole)
    tolerance = max(east - west, north - south, UNIT_DEG) / 2000
    parts, step = whole, 1
    while int(shapely.get_num_coordinates(parts).sum()) > MOST_VERTICES and step <= COARSEST:
        parts = shapely.coverage_simplify(whole, tolerance * step)
        step *= 2
    return {code: _rings(part) for code, part in zip(codes, parts, strict=True) if not part.is_empty}


def _rings(shape: Any) -> list[list[int]]:
    rings = []
    for polygon in shapely.get_parts(shape):
        for ring in (polygon.exterior, *polygon.interiors):
            points = [(round(x / UNIT_DEG), round(y / UNIT_DEG)) for x, y in shapely.get_coordinates(ring)[:-1]]
            coded, before = [], (0, 0)
            for point in points:
                coded += [point[0] - before[0], point[1] - before[1]]
                before = point
            rings.append(coded)
    return rings
