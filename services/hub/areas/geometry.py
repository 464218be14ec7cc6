"""Polygons of areas: checked, repaired where nothing is lost, measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import shapely

VERTICES = 100_000
"""Most vertices of one area."""
LOSS = 0.001
"""A repair may change a shape's area by this share at most."""


class BadShape(ValueError):
    """What is wrong with a polygon."""


def checked(geometry: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[float, float, float, float], bool]:
    """The polygon as GeoJSON, its extent (west, south, east, north) and whether it had to be repaired; `BadShape` if it cannot be used."""
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise BadShape("The geometry must be a GeoJSON Polygon or MultiPolygon.")
    try:
        shape = shapely.from_geojson(orjson.dumps({"type": geometry["type"], "coordinates": geometry.get("coordinates")}))
    except (shapely.GEOSException, orjson.JSONEncodeError) as error:
        raise BadShape(f"The geometry cannot be read: {str(error)[:100]}") from error
    if shape.is_empty or shapely.get_num_coordinates(shape) > VERTICES:
        raise BadShape(f"The geometry is empty or has more than {VERTICES} vertices.")
    west, south, east, north = shape.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadShape("The geometry leaves the Earth: WGS 84 longitude comes first, then latitude.")
    sound = shape if shape.is_valid else _repaired(shape)
    return orjson.loads(shapely.to_geojson(sound)), sound.bounds, sound is not shape


def _repaired(shape: shapely.Geometry) -> shapely.Geometry:
    repaired = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if repaired.geom_type not in ("Polygon", "MultiPolygon") or abs(repaired.area - shape.area) > LOSS * shape.area:
        raise BadShape(f"The polygon is not valid and cannot be repaired without loss: {shapely.is_valid_reason(shape)[:100]}.")
    return repaired
