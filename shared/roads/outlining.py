"""The outline of what is reached in a given time."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import shapely

from shared.roads.network import Floats, Mask, Network

RATIO = 0.1
"""How closely the concave hull follows the points: 0 as closely as it can, 1 as the convex hull."""
AROUND_M = 30.0
"""The outline stands this far off the roads."""


def outline_of(network: Network, at_tail: Floats, arc_seconds: Floats, used: Mask, seconds: float) -> dict[str, Any] | None:
    """GeoJSON Polygon around the arcs that are used within some seconds, the last ones as far as the time goes.

    `at_tail` (n) are the seconds at which nodes are reached.
    """
    arcs = np.flatnonzero(used)
    if not len(arcs):
        return None
    ends = network.plane.metres(network.lon, network.lat)
    tail, head = ends[network.tail[arcs]], ends[network.head[arcs]]
    part = np.clip((seconds - at_tail[network.tail[arcs]]) / arc_seconds[arcs], 0.0, 1.0)
    points = np.unique(np.round(np.concatenate([tail, tail + (head - tail) * part[:, None]])), axis=0)
    hull = shapely.concave_hull(shapely.multipoints(points), ratio=RATIO) if len(points) > 3 else shapely.convex_hull(shapely.multipoints(points))
    around = shapely.simplify(shapely.buffer(hull, AROUND_M, quad_segs=2), AROUND_M / 3)
    outline = shapely.transform(around, network.plane.degrees)
    found: dict[str, Any] = orjson.loads(shapely.to_geojson(shapely.set_precision(outline, 1e-6)))
    return found
