"""Rows of the area table: real codes and names, cells around computed places instead of boundaries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ops.demo.cities import CITIES, DemoCity, District, above, towns_of

GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
KM_PER_DEGREE = 111.32


def demo_areas(city_code: str = "430300", *, cells: bool = True) -> Iterator[dict[str, Any]]:
    """Rows for the hub's `PUT /areas`, parents first. `cells`: with polygons, each the land nearer to its place than to any other."""
    city = CITIES[city_code]
    shapes = _cells(city) if cells else {}
    yield from above(city)
    for district in city.districts:
        kind = "functional" if district.functional else "administrative"
        row = {"code": district.code, "level": "district", "parent": city.prefix, "name_zh": district.zh, "name_en": district.en, "kind": kind}
        yield row | ({"geometry": shapes[district.code]} if district.code in shapes else {})
    for district, code, zh, en in towns_of(city):
        row = {"code": code, "level": "town", "parent": district.code, "name_zh": zh, "name_en": en, "kind": "administrative"}
        yield row | ({"geometry": shapes[code]} if code in shapes else {})


def town_places(city: DemoCity) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of each town, spread around its district's seat; of a district without towns, the seat."""
    found: dict[str, tuple[float, float]] = {}
    for district in city.districts:
        towns = [code for of, code, _, _ in towns_of(city) if of is district]
        for number, code in enumerate(towns):
            found[code] = _around(district, number, len(towns))
        if not towns:
            found[district.code] = district.lon, district.lat
    return found


def _around(district: District, number: int, count: int) -> tuple[float, float]:
    """Points as evenly spread as the seeds of a sunflower."""
    distance = district.reach_km * math.sqrt((number + 0.5) / count)
    angle = number * GOLDEN_ANGLE + district.lon * 100
    north, east = distance * math.cos(angle), distance * math.sin(angle)
    lon = district.lon + east / (KM_PER_DEGREE * math.cos(math.radians(district.lat)))
    return round(lon, 5), round(district.lat + north / KM_PER_DEGREE, 5)


def _cells(city: DemoCity) -> dict[str, dict[str, Any]]:
    """GeoJSON by code: the cell of each place, and of a district all cells of its towns. Functional zones have none, as in the published tables."""
    import shapely

    zones = {district.code for district in city.districts if district.functional}
    places = {code: place for code, place in town_places(city).items() if code[:6] not in zones}
    points = shapely.MultiPoint(list(places.values()))
    land = points.convex_hull.buffer(0.06)
    cells = shapely.voronoi_polygons(points, extend_to=land.envelope, ordered=True)
    shapes = {code: shapely.intersection(cell, land) for code, cell in zip(places, cells.geoms, strict=True)}
    for district in city.districts:
        within = [shape for code, shape in shapes.items() if code.startswith(district.code)]
        if within:
            shapes[district.code] = shapely.union_all(within)
    return {code: shapely.geometry.mapping(shapely.set_precision(shape, 1e-5)) for code, shape in shapes.items()}
