"""Metres around a place: the local projection in which distances to roads are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_M = 6_371_008.8
"""Mean radius of the Earth (IUGG 1980)."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The equirectangular projection around a point: affine, so straight lines and what they cross stay as they are.

    Within 50 km of its origin distances are right to about 1 % at 60° latitude and better nearer to the equator.
    """

    lon: float
    lat: float

    @classmethod
    def around(cls, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Plane:
        """The plane around the middle of some points."""
        return cls(float(np.median(lon)), float(np.median(lat)))

    @property
    def scale(self) -> tuple[float, float]:
        """Metres of a degree of longitude and of latitude."""
        degree = np.pi / 180 * EARTH_M
        return float(degree * np.cos(np.radians(self.lat))), float(degree)

    def metres(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """(k, 2) Degrees of WGS 84 as metres east and north of the origin."""
        east, north = self.scale
        return np.column_stack([(np.asarray(lon, np.float64) - self.lon) * east, (np.asarray(lat, np.float64) - self.lat) * north])

    def degrees(self, metres: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k, 2) The way back."""
        return np.asarray(metres / np.asarray(self.scale) + np.asarray([self.lon, self.lat]))


def apart_m(lon: ArrayLike, lat: ArrayLike, to_lon: ArrayLike, to_lat: ArrayLike) -> NDArray[np.float64]:
    """Great-circle distance in metres by the haversine formula, of broadcast points in degrees."""
    lon1, lat1, lon2, lat2 = (np.radians(np.asarray(each, np.float64)) for each in (lon, lat, to_lon, to_lat))
    half = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return np.asarray(2 * EARTH_M * np.arcsin(np.sqrt(np.minimum(half, 1.0))))
