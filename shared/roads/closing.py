"""Which arcs an area or a line closes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from shared.roads.network import Mask, Network

BESIDE_M = 10.0
"""How far a drawn line may lie from the road that it closes."""
ALONG_M = 25.0
"""An arc is closed by a line that goes along it this far, or along six tenths of it; a road that only crosses the line stays open."""
ALONG_PART = 0.6
MOST_TANGLED = 1_000
"""Points of a geometry that is to be made valid: the time for that grows with their square."""


class BadGeometry(ValueError):
    """The object is no GeoJSON geometry that can close a road."""


def closed_arcs(network: Network, geometries: Iterable[Mapping[str, Any]]) -> Mask:
    """(a) Arcs that polygons touch, points lie on (within 10 m), or lines go along. GeoJSON geometries, WGS 84.

    Raises `BadGeometry`.
    """
    closed = np.zeros(network.arcs, np.bool_)
    for geometry in geometries:
        for part in shapely.get_parts(geometry_of(geometry)):
            closed |= _closed_by(network, part)
    return closed


class Masks:
    """Arcs that geometries close, remembered for those asked of lately: one outline is measured, closes roads and is driven around."""

    def __init__(self, most: int = 64) -> None:
        self._most, self._known = most, OrderedDict[tuple[str, bytes], Mask]()

    def of(self, network: Network, geometry: Mapping[str, Any]) -> Mask:
        """`closed_arcs` of one geometry; nobody may change it. Any thread may ask."""
        key = (network.version, hashlib.blake2b(orjson.dumps(geometry, option=orjson.OPT_SORT_KEYS)).digest())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = closed_arcs(network, (geometry,))
            found.flags.writeable = False
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found


def geometry_of(geometry: Mapping[str, Any]) -> shapely.Geometry:
    """A GeoJSON geometry, made valid. Raises `BadGeometry`."""
    try:
        found = shapely.from_geojson(orjson.dumps(geometry))
        if found is None or found.is_empty or not np.isfinite(shapely.bounds(found)).all():
            raise BadGeometry("The geometry is empty.")
        west, south, east, north = shapely.bounds(found)
        if west < -180 or east > 180 or south < -90 or north > 90:
            raise BadGeometry("The geometry lies beyond the Earth; coordinates are longitude, latitude in degrees.")
        if not shapely.is_valid(found) and shapely.get_num_coordinates(found) > MOST_TANGLED:
            raise BadGeometry(f"The geometry crosses itself and has over {MOST_TANGLED} points. Simplify it.")
        found = shapely.make_valid(shapely.force_2d(found), method="structure", keep_collapsed=True)
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise BadGeometry(f"Not a GeoJSON geometry: {str(error)[:200]}") from error
    return _flat(found)


def _flat(found: shapely.Geometry) -> shapely.Geometry:
    """Collections within collections taken apart, as far as they go."""
    parts = [found]
    for _ in range(5):
        parts = [each for part in parts for each in shapely.get_parts(part)]
    return shapely.geometrycollections(parts)


def _closed_by(network: Network, geometry: shapely.Geometry) -> Mask:
    plane = network.plane
    east, north = plane.scale
    local = shapely.transform(geometry, lambda degrees: plane.metres(degrees[:, 0], degrees[:, 1]))
    area = geometry.geom_type == "Polygon"
    zone = local if area else shapely.buffer(local, BESIDE_M)
    west, south, right, top = shapely.bounds(geometry) if area else _widened(shapely.bounds(geometry), BESIDE_M / east, BESIDE_M / north)
    least_x, most_x, least_y, most_y = network.boxes
    near = np.flatnonzero((least_x <= right) & (most_x >= west) & (least_y <= top) & (most_y >= south))
    closed = np.zeros(network.arcs, np.bool_)
    if not len(near):
        return closed
    points, owner = network.lines(near)
    lines = shapely.linestrings(plane.metres(points[:, 0], points[:, 1]), indices=owner)
    shapely.prepare(zone)
    hit = shapely.intersects(zone, lines)
    if geometry.geom_type in ("LineString", "LinearRing"):
        along = shapely.length(shapely.intersection(lines[hit], zone))
        hit[hit] = along >= np.minimum(ALONG_M, ALONG_PART * shapely.length(lines[hit]))
    closed[near[hit]] = True
    return closed


def _widened(box: NDArray[np.float64], by_x: float, by_y: float) -> tuple[float, float, float, float]:
    west, south, east, north = box
    return west - by_x, south - by_y, east + by_x, north + by_y
