"""Spatial operators of CQL2 on points, and on the envelopes of shapes, with PostgreSQL's own types: no PostGIS."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, not_, or_
from sqlalchemy.types import UserDefinedType

from shared.datasets.declaration import Point
from shared.datasets.extent import Bbox, bbox_of, within_bbox
from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.datasets.view import View

Position = tuple[float, float]
EXPECTED = "a POINT, MULTIPOINT, POLYGON, MULTIPOLYGON or BBOX in WGS 84 longitude and latitude"


class _Polygon(UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "polygon"


def meets(view: View, op: str, args: list[Any], *, pointer: str) -> ColumnElement[bool]:
    """`s_intersects`, `s_within`, `s_disjoint` of the rows' geometry with a literal one (OGC 21-065r2, 7.7).

    Points: exact but for PostgreSQL's tolerance of 1e-6 degrees (11 cm) at edges, which count as inside. Shapes: boxes only, by envelope.
    """
    match args:
        case [{"property": "geometry"}, dict(shape)] if view.geometry is not None:
            pass
        case [dict(shape), {"property": "geometry"}] if view.geometry is not None and op != "s_within":
            pass
        case [{"property": str(name)}, _] if name != "geometry" or view.geometry is None:
            view.named(name, pointer=pointer)
            raise InvalidRequest(f"{name!r} is not a geometry. The geometry of a row is called `geometry`.", pointer=pointer)
        case _:
            raise InvalidRequest(f"{op} compares `geometry` with {EXPECTED}.", pointer=pointer)
    found = _inside(view, shape, pointer)
    return not_(found) if op == "s_disjoint" else found


def _inside(view: View, shape: dict[str, Any], pointer: str) -> ColumnElement[bool]:
    match shape:
        case {"bbox": [west, south, east, north]} | {"bbox": [west, south, _, east, north, _]}:
            numbers = [_number(edge, pointer) for edge in (west, south, east, north)]
            return within_bbox(view, bbox_of(*numbers, pointer=pointer), pointer=pointer)
        case _ if not isinstance(view.dataset.geometry, Point):
            raise InvalidRequest(f"The shapes of {view.dataset.id} are compared with a BBOX only.", pointer=pointer)
        case {"type": "Point", "coordinates": list(point)}:
            return _at(view, [_position(point, pointer)], pointer)
        case {"type": "MultiPoint", "coordinates": [_, *_] as points}:
            return _at(view, [_position(point, pointer) for point in points], pointer)
        case {"type": "Polygon", "coordinates": [_, *_] as rings}:
            return _in_polygon(view, rings, pointer)
        case {"type": "MultiPolygon", "coordinates": [_, *_] as polygons}:
            return or_(*(_in_polygon(view, rings, pointer) for rings in polygons))
    raise InvalidRequest(f"Points are compared with {EXPECTED}.", pointer=pointer)


def _at(view: View, points: list[Position], pointer: str) -> ColumnElement[bool]:
    return or_(*(within_bbox(view, Bbox(lon, lat, lon, lat), pointer=pointer) for lon, lat in points))


def _in_polygon(view: View, rings: Any, pointer: str) -> ColumnElement[bool]:
    """Within the outer ring's box (for the index), then within the ring, and in none of its holes."""
    if not isinstance(rings, list) or not rings:
        raise InvalidRequest("A polygon has at least one ring.", pointer=pointer)
    outer, *holes = (_ring(ring, pointer) for ring in rings)
    lons, lats = zip(*outer, strict=True)
    envelope = within_bbox(view, Bbox(min(lons), min(lats), max(lons), max(lats)), pointer=pointer)
    return and_(envelope, _in_ring(view, outer), *(not_(_in_ring(view, hole)) for hole in holes))


def _in_ring(view: View, ring: list[Position]) -> ColumnElement[bool]:
    assert view.geometry is not None
    text = ",".join(f"({lon!r},{lat!r})" for lon, lat in ring)
    return func.point(*view.geometry).bool_op("<@")(cast(literal(f"({text})", Text), _Polygon()))


def _ring(ring: Any, pointer: str) -> list[Position]:
    positions = [_position(point, pointer) for point in ring] if isinstance(ring, list) else []
    if len(positions) < 4 or positions[0] != positions[-1]:
        raise InvalidRequest("A polygon's ring has at least four points, and ends where it began.", pointer=pointer)
    return positions


def _position(point: Any, pointer: str) -> Position:
    if not isinstance(point, list) or len(point) not in (2, 3):
        raise InvalidRequest("A point is a longitude and a latitude.", pointer=pointer)
    lon, lat = _number(point[0], pointer), _number(point[1], pointer)
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InvalidRequest(f"({lon:g} {lat:g}) is not a longitude and a latitude in degrees.", pointer=pointer)
    return lon, lat


def _number(value: Any, pointer: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidRequest("Coordinates are finite numbers.", pointer=pointer)
    return float(value)
