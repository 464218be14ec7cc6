"""Speeds measured now, as far as they stand for arcs of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.roads.network import Network

ON_ROAD_M = 50.0
"""A detector stands for a road only if an arc's middle, or a node, is as near as this."""
SPREAD_M = 500.0
"""And for that road's arcs as far as this."""
SAME_CLASS = 0.15
"""Arcs are of one road class if their free speeds differ by no more than this part."""
SLOWEST_KMH = 3.0
"""A measured speed below it counts as this: a standing queue still moves."""


@dataclass(frozen=True, eq=False)
class Speeds:
    """Measured speeds of cars on arcs of one network."""

    arcs: NDArray[np.intp]
    kmh: NDArray[np.float32]

    @classmethod
    def near(cls, network: Network, detectors: Sequence[tuple[float, float, float]]) -> Speeds:
        """From detectors (longitude, latitude, km/h): each arc whose middle lies within 500 m takes the speed of the nearest detector,
        if that one stands within 50 m of an arc of the same class.

        The direction that a detector looks at is not known: both directions take its speed. A rule of this project; the numbers are assumptions.
        """
        if not detectors:
            return cls(np.zeros(0, np.intp), np.zeros(0, np.float32))
        from scipy.spatial import cKDTree

        at = np.asarray(detectors, np.float64)
        places = network.plane.metres(at[:, 0], at[:, 1])
        middles = _middles(network)
        free = network.length_m / network.car_s * 3.6
        off_m, own = cKDTree(middles).query(places, distance_upper_bound=SPREAD_M)
        stands = np.isfinite(off_m)
        stands[stands] &= off_m[stands] <= ON_ROAD_M + network.length_m[own[stands]] / 2
        if not stands.any():
            return cls(np.zeros(0, np.intp), np.zeros(0, np.float32))
        away, nearest = cKDTree(places[stands]).query(middles, distance_upper_bound=SPREAD_M)
        arcs = np.flatnonzero(np.isfinite(away))
        of_road = free[own[stands][nearest[arcs]]]
        arcs_alike = np.abs(free[arcs] - of_road) <= SAME_CLASS * of_road
        return cls(arcs[arcs_alike], at[stands][nearest[arcs[arcs_alike]], 2].astype(np.float32))

    def applied(self, network: Network) -> NDArray[np.float32]:
        """Seconds of a car on each arc: the measured ones where there are, else those of the free road; never less than these."""
        seconds = network.car_s.copy()
        measured = network.length_m[self.arcs] / np.maximum(self.kmh, np.float32(SLOWEST_KMH)) * np.float32(3.6)
        seconds[self.arcs] = np.maximum(seconds[self.arcs], measured)
        return seconds


def _middles(network: Network) -> NDArray[np.float64]:
    """(a, 2) Middles between the ends of arcs, in metres of the network's plane."""
    ends = network.plane.metres(network.lon, network.lat)
    return np.asarray((ends[network.tail] + ends[network.head]) / 2)
