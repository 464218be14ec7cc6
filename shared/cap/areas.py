"""Areas of warnings: codes with the standard that they come from, rings from GeoJSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shared.cap.document import Parameter, Point

SHORT_CODES, LONG_CODES = "GB/T 2260", "GB/T 10114"
"""Up to six digits; towns and communities below (nine and twelve)."""
_SCHEMES = (SHORT_CODES, LONG_CODES)


def geocodes(codes: Iterable[str]) -> tuple[Parameter, ...]:
    """Area codes, each under the name of the standard that defines it; provinces and cities at the six digits that GB/T 2260 gives them."""
    return tuple(Parameter(SHORT_CODES, code.ljust(6, "0")) if len(code) <= 6 else Parameter(LONG_CODES, code) for code in codes)


def codes_of(pairs: Iterable[Parameter]) -> tuple[str, ...]:
    """The area codes among geocodes, at their own length: `4303` for the city that GB/T 2260 writes 430300."""
    return tuple(pair.value.removesuffix("00").removesuffix("00") if pair.name == SHORT_CODES else pair.value for pair in pairs if pair.name in _SCHEMES)


def outer_rings(geometry: Mapping[str, Any]) -> tuple[tuple[Point, ...], ...]:
    """The outer rings of a GeoJSON Polygon or MultiPolygon. CAP has no holes: what lies in one is warned, too."""
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return tuple(tuple((float(point[0]), float(point[1])) for point in polygon[0]) for polygon in polygons)
