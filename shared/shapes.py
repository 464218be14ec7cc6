"""Shapes of areas in memory: which of them holds a point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AreaShape:
    """An area that has a shape."""

    code: str
    ancestors: frozenset[str]
    """Codes of the areas above it, and its own."""
    valid_from: date | None
    valid_to: date | None
    geometry: shapely.Geometry

    def holds_at(self, day: date) -> bool:
        """Whether the code held on this day."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


class ShapeIndex:
    """Areas by place. Where shapes overlap, the smallest wins, then the lowest code: simplified neighbours overlap by slivers."""

    def __init__(self, shapes: Iterable[AreaShape]) -> None:
        self._shapes = sorted(shapes, key=lambda shape: (shapely.area(shape.geometry), shape.code))
        self._geometries: NDArray[np.object_] = np.array([shape.geometry for shape in self._shapes], dtype=object)
        shapely.prepare(self._geometries)
        self._tree = shapely.STRtree(self._geometries)

    def find(self, points: Sequence[tuple[float, float]], within: Sequence[str | None], days: Sequence[date]) -> list[str | None]:
        """The finest area around each point (WGS 84 longitude, latitude), on each point's day and inside each point's coarser area; borders count."""
        found: list[str | None] = [None] * len(points)
        if not points or not self._shapes:
            return found
        xy = np.asarray(points, dtype=np.float64)
        point, shape = self._tree.query(shapely.points(xy))
        inside = shapely.intersects_xy(self._geometries[shape], xy[point, 0], xy[point, 1])
        candidates = sorted(zip(shape[inside].tolist(), point[inside].tolist(), strict=True))
        for rank, at in candidates:  # smallest first
            area, wanted = self._shapes[rank], within[at]
            if found[at] is None and (wanted is None or wanted in area.ancestors) and area.holds_at(days[at]):
                found[at] = area.code
        return found


def index_of(rows: Iterable[Sequence[Any]]) -> ShapeIndex:
    """The index over rows of code, ancestors' codes (nation to community), first and last day, GeoJSON text."""
    return ShapeIndex(
        AreaShape(code, frozenset(above for above in (code, *ancestors) if above), valid_from, valid_to, shapely.from_geojson(geometry))
        for code, *ancestors, valid_from, valid_to, geometry in rows
    )
