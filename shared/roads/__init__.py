"""Roads: a network in compressed arrays, what is closed on it, and the soonest ways through it."""

from __future__ import annotations

from shared.roads.closing import BadGeometry, Masks, closed_arcs
from shared.roads.encoding import MEDIA_TYPE, from_bytes, to_bytes
from shared.roads.network import BadNetwork, Network, make_network
from shared.roads.router import Isochrone, Route, Router, Vehicle
from shared.roads.speeds import Speeds

__all__ = [
    "MEDIA_TYPE",
    "BadGeometry",
    "BadNetwork",
    "Isochrone",
    "Masks",
    "Network",
    "Route",
    "Router",
    "Speeds",
    "Vehicle",
    "closed_arcs",
    "from_bytes",
    "make_network",
    "to_bytes",
]
