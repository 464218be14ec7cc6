"""Coordinates: what loaders are given, in any of four systems, becomes WGS 84 longitude and latitude."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Degrees = NDArray[np.float64]


class Crs(StrEnum):
    """The system in which a file gives its points; nothing is guessed, every loader declares it."""

    WGS84 = "wgs84"
    CGCS2000 = "cgcs2000"
    """China Geodetic Coordinate System 2000 (EPSG:4490); within a metre of WGS 84."""
    GCJ02 = "gcj02"
    """The offset system of Chinese web maps; up to 700 m off inside mainland China, WGS 84 outside."""
    BD09 = "bd09"
    """Baidu's offset on top of GCJ-02."""


def to_wgs84(lon: ArrayLike, lat: ArrayLike, crs: Crs | str) -> tuple[Degrees, Degrees]:
    """Longitudes and latitudes in `crs` as WGS 84, in degrees; shapes are kept, an unknown (NaN) point stays NaN.

    The inverse of GCJ-02 is iterated until it is within 0.5 m, that of BD-09 within 1 m.
    Raises ValueError for an unknown system and for a point that is not on Earth.
    """
    system = Crs(crs)
    x, y = np.broadcast_arrays(np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64))
    known = ~(np.isnan(x) | np.isnan(y))
    if not np.all((np.abs(x[known]) <= 180) & (np.abs(y[known]) <= 90)):
        raise ValueError("A longitude lies beyond ±180° or a latitude beyond ±90°.")
    out_x, out_y = np.where(known, x, np.nan), np.where(known, y, np.nan)
    if system is not Crs.WGS84 and known.any():
        out_x[known], out_y[known] = _geodetic(x[known], y[known]) if system is Crs.CGCS2000 else _offset(x[known], y[known], system)
    return out_x, out_y


def _geodetic(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    x, y = _cgcs2000().transform(lon, lat)
    return np.asarray(x), np.asarray(y)


@cache
def _cgcs2000() -> Any:
    from pyproj import Transformer  # costs 17 MB, and few rows are in this system

    return Transformer.from_crs("EPSG:4490", "EPSG:4326", always_xy=True)


def _offset(lon: Degrees, lat: Degrees, system: Crs) -> tuple[Degrees, Degrees]:
    """The library converts point by point (about 25 µs each)."""
    import geocoordinates_ffi as offsets  # costs 9 MB, and few rows are in these systems

    if system is Crs.GCJ02:
        points = [offsets.gcj02_to_wgs84_refined(offsets.Gcj02(lat=y, lon=x)) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    else:
        points = [offsets.bd09_to_wgs84_refined(offsets.Bd09(lat=y, lon=x)) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    return np.array([point.lon for point in points]), np.array([point.lat for point in points])
