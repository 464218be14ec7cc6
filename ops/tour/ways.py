"""Whether a way leads through an endangered area."""

from __future__ import annotations

from shapely.geometry import LineString, MultiLineString
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

FIRST_ROAD_M = 600.0
"""Who starts on a road that the area closes drives it to its end, at most so far."""
_M_PER_DEGREE = 111_320.0


def leads_through(way: LineString, endangered: BaseGeometry) -> bool:
    """Whether a way (degrees) enters the area. Who starts within it, or on a road that it closes, may leave it, and not come back."""
    inside = way.intersection(endangered)
    if inside.length <= 1e-9:
        return False
    pieces = list(inside.geoms) if isinstance(inside, MultiLineString) else [inside]
    last = max(way.line_locate_point(end) for piece in pieces for end in piece.boundary.geoms)
    first = min(way.line_locate_point(end) for piece in pieces for end in piece.boundary.geoms)
    if first * _M_PER_DEGREE > FIRST_ROAD_M:
        return True
    return bool(substring(way, first, last).difference(endangered).length * _M_PER_DEGREE > FIRST_ROAD_M)
