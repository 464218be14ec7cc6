"""The soonest ways through a network as it is now: measured speeds, closures, and what kind of vehicle asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.roads.network import Floats, Mask, Network
from shared.roads.plane import apart_m
from shared.roads.searching import FARTHEST_S, Graph, Tree
from shared.roads.speeds import Speeds

Vehicle = Literal["car", "fire_engine", "ambulance"]
Point = tuple[float, float]
"""Longitude and latitude in degrees, WGS 84."""
SIREN_FACTOR: dict[str, float] = {"ambulance": 1.0, "fire_engine": 1.1}
"""Seconds of an arc with lights and siren, in those of an ambulance. That an engine needs a tenth more is an assumption of this project."""
OFF_ROAD_M = 500.0
"""A point farther than this from a road that can be entered is not reached by road."""
OFF_ROAD_KMH = 10.0
"""Speed between a point and the road: yards and lanes that no map has. An assumption of this project."""
ENCLOSED_S = 900.0
"""How long a way out of a closed area may take."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way by road."""

    travel_s: float
    """Until `ends_at`, the way to and from the road included."""
    length_m: float
    line: NDArray[np.float64]
    """(k, 2) Longitude and latitude along the roads."""
    ends_at: Point
    """The destination; or, if that lies in a closed area, the last point outside."""
    left_m: float
    """Straight from the last node to the destination: the way off the road, or through the closed area."""
    enclosed: bool
    """Whether the destination lies in a closed area."""


@dataclass(frozen=True, slots=True)
class Isochrone:
    """What is reached within some seconds."""

    seconds: float
    nodes: NDArray[np.intp]
    outline: dict[str, object] | None
    """GeoJSON Polygon around what is reached, drawn loosely (concave hull); null if nothing is."""
    length_m: float
    """Of all arcs whose ends are both reached."""


class Router:
    """One state of the roads. Searches may run in several threads at once; they hold the processor, so call them by `asyncio.to_thread`."""

    def __init__(self, network: Network, live: Speeds | None = None, closed: Mask | None = None) -> None:
        """`live`: measured speeds, which cars feel. `closed` (a): arcs that nobody may enter."""
        self.network, self.live = network, live
        self.closed = np.zeros(network.arcs, np.bool_) if closed is None else closed
        self._graphs: dict[tuple[Vehicle, bool], Graph] = {}

    def avoiding(self, closed: Mask) -> Router:
        """The same roads with more of them closed; this router with what it has prepared if they are closed already."""
        return Router(self.network, self.live, self.closed | closed) if (closed & ~self.closed).any() else self

    def arc_seconds(self, vehicle: Vehicle) -> Floats:
        """(a) What each arc costs, closed or not."""
        if vehicle == "car":
            return np.asarray(self.live.applied(self.network) if self.live else self.network.car_s, np.float64)
        return np.asarray(self.network.siren_s, np.float64) * SIREN_FACTOR[vehicle]

    def nearest(self, points: Sequence[Point]) -> tuple[NDArray[np.intp], Floats]:
        """The node where each point comes to the road, and how far off it is in metres; infinite if there is none within 500 m."""
        if not len(points) or not len(self.network.access_nodes):
            return np.zeros(len(points), np.intp), np.full(len(points), np.inf)
        at = np.asarray(points, np.float64)
        off_m, place = self.network.access_tree.query(self.network.plane.metres(at[:, 0], at[:, 1]), distance_upper_bound=OFF_ROAD_M)
        return self.network.access_nodes[np.minimum(place, len(self.network.access_nodes) - 1)], off_m

    def route(self, start: Point, end: Point, vehicle: Vehicle, limit_s: float = FARTHEST_S) -> Route | None:
        """The soonest way, or None if there is none within the limit."""
        reach = self.one_to_many(start, [end], vehicle, limit_s, ways=True)
        return reach.route(0)

    def many_to_one(self, starts: Sequence[Point], end: Point, vehicle: Vehicle, limit_s: float = FARTHEST_S, *, ways: bool = False) -> Reach:
        """From all starts to one end, by one search backwards from it. `ways`: routes will be wanted."""
        return Reach(self, vehicle, end, starts, limit_s, backwards=True, ways=ways)

    def one_to_many(self, start: Point, ends: Sequence[Point], vehicle: Vehicle, limit_s: float = FARTHEST_S, *, ways: bool = False) -> Reach:
        """From one start to all ends, by one search. `ways`: routes will be wanted."""
        return Reach(self, vehicle, start, ends, limit_s, backwards=False, ways=ways)

    def isochrone(self, start: Point, vehicle: Vehicle, seconds: float) -> Isochrone | None:
        """What is reached from a point within some seconds; None if the point is not on the road."""
        from shared.roads.outlining import outline_of

        reach = Reach(self, vehicle, start, [], seconds, backwards=False, ways=False)
        if reach.tree is None:
            return None
        reached = reach.tree.seconds + reach.off_s <= seconds
        both = reached[self.network.tail] & reached[self.network.head] & ~self.closed
        outline = outline_of(
            self.network, reach.tree.seconds + reach.off_s, self.arc_seconds(vehicle), both | (reached[self.network.tail] & ~self.closed), seconds
        )
        return Isochrone(seconds, np.flatnonzero(reached), outline, float(self.network.length_m[both].sum(dtype=np.float64)))

    def graph(self, vehicle: Vehicle, *, inside: bool = False) -> Graph:
        """The arcs that are open; or, `inside`, those that are closed: ways out of closed areas."""
        if (vehicle, inside) not in self._graphs:
            usable = self.closed if inside else ~self.closed
            self._graphs[vehicle, inside] = Graph(self.network.order, np.where(usable, self.arc_seconds(vehicle), np.inf))
        return self._graphs[vehicle, inside]

    @cached_property
    def any_closed(self) -> bool:
        return bool(self.closed.any())

    @cached_property
    def leaves(self) -> Mask:
        """(n) Nodes with an open arc away from them."""
        return self.graph("car").open_from()

    @cached_property
    def enters(self) -> Mask:
        """(n) Nodes with an open arc towards them."""
        return self.graph("car").open_to()


class Reach:
    """Times between one point and many, and the ways.

    A start in a closed area may leave it by its closed arcs. A way to an end in a closed area stops at the last node outside, by the way that would be
    soonest through it, and its time is the time until there.
    """

    def __init__(self, router: Router, vehicle: Vehicle, hub: Point, points: Sequence[Point], limit_s: float, *, backwards: bool, ways: bool) -> None:
        self.router, self.vehicle, self.hub, self.points, self.backwards, self._ways = router, vehicle, hub, list(points), backwards, ways
        self.nodes, self.off_m = router.nearest([hub, *points])
        self.off_s = float(self.off_m[0]) / OFF_ROAD_KMH * 3.6
        self.tree, self._inside = self._search(limit_s)
        self.seconds = np.full(len(self.points), np.inf)
        """(points) Travel time until the route ends; infinite where there is none within the limit."""
        self._by: dict[int, tuple[int, Tree]] = {}
        if self.tree is not None:
            self._fill(self.tree, limit_s)

    @property
    def enclosed(self) -> bool:
        """Whether the one point lies in a closed area."""
        return self._inside is not None

    def _search(self, limit_s: float) -> tuple[Tree | None, Tree | None]:
        """The tree over open arcs, and that over the closed ones around the one point if it is enclosed."""
        if not np.isfinite(self.off_m[0]):
            return None, None
        node, graph = int(self.nodes[0]), self.router.graph(self.vehicle)
        if self._is_outside(node, backwards=self.backwards):
            return graph.search(node, limit_s, backwards=self.backwards, ways=self._ways), None
        inside = self.router.graph(self.vehicle, inside=True).search(node, ENCLOSED_S, backwards=self.backwards, ways=self._ways)
        gates = np.flatnonzero(np.isfinite(inside.seconds) & (self.router.enters if self.backwards else self.router.leaves))
        if not len(gates):
            return None, inside
        return graph.search((gates, inside.seconds[gates]), limit_s + ENCLOSED_S, backwards=self.backwards, ways=True), inside

    def _is_outside(self, node: int, *, backwards: bool) -> bool:
        """Whether open arcs lead to the node (`backwards`) or away from it; or no arcs at all do, closed or open."""
        return not self.router.any_closed or bool((self.router.enters if backwards else self.router.leaves)[node])

    def _fill(self, tree: Tree, limit_s: float) -> None:
        off_s = self.off_m[1:] / OFF_ROAD_KMH * 3.6
        nodes = self.nodes[1:]
        there = np.isfinite(off_s)
        gained = self._not_driven(tree)
        self.seconds[there] = tree.seconds[nodes[there]] + off_s[there]
        if gained is not None:
            self.seconds[there] -= gained[nodes[there]]
        if self.router.any_closed:
            far_side = self.router.leaves if self.backwards else self.router.enters
            for place in np.flatnonzero(there & ~far_side[nodes]):
                self.seconds[place] = self._through(tree, gained, int(place), float(off_s[place]))
        if not (self.backwards and self.enclosed):
            self.seconds += self.off_s
        self.seconds[self.seconds > limit_s] = np.inf

    def _not_driven(self, tree: Tree) -> Floats | None:
        """(n) Seconds inside the closed area around the end, which the tree counts and nobody drives; None if there is no such area."""
        if self._inside is None or not self.backwards:
            return None
        return np.where(np.isfinite(tree.seconds), self._inside.seconds[tree.roots], 0.0)

    def _through(self, tree: Tree, gained: Floats | None, place: int, off_s: float) -> float:
        """Seconds of a point that closed arcs enclose: out of them, or up to them."""
        node = int(self.nodes[1 + place])
        inside = self.router.graph(self.vehicle, inside=True).search(node, ENCLOSED_S, backwards=not self.backwards, ways=self._ways)
        both = inside.seconds + tree.seconds
        gate = int(np.argmin(both))
        if not np.isfinite(both[gate]):
            return float("inf")
        self._by[place] = gate, inside
        if not self.backwards:
            return float(tree.seconds[gate])
        return float(both[gate] + off_s) - (0.0 if gained is None else float(gained[gate]))

    def route(self, place: int) -> Route | None:
        """The way of one of the points. Needs `ways`."""
        if self.tree is None or not np.isfinite(self.seconds[place]):
            return None
        gate, inside = self._by.get(place, (int(self.nodes[1 + place]), None))
        way = self.tree.way(gate)  # from the one point outwards
        near_end = self.enclosed
        if self._inside is not None and not self.backwards:
            way = [*self._inside.way(way[0])[:-1], *way]
        if inside is not None and self.backwards:
            way = [*way, *inside.way(gate)[::-1][1:]]
        if self.backwards:
            way = way[::-1]
        else:
            near_end = inside is not None
        return self._route(place, way, enclosed=near_end)

    def _route(self, place: int, way: list[int], *, enclosed: bool) -> Route:
        network = self.router.network
        end = self.hub if self.backwards else self.points[place]
        last = float(network.lon[way[-1]]), float(network.lat[way[-1]])
        arcs = self._arcs(way)
        points, owner = network.lines(arcs)
        line = points[np.append(True, owner[1:] == owner[:-1])] if len(arcs) else np.asarray([[network.lon[way[0]], network.lat[way[0]]]])
        length_m = float(network.length_m[arcs].sum(dtype=np.float64))
        left_m = float(apart_m(*last, *end))
        return Route(float(self.seconds[place]), length_m, line, last if enclosed else end, left_m, enclosed)

    def _arcs(self, way: list[int]) -> NDArray[np.intp]:
        """The soonest of the arcs between each two nodes of a way: open ones before closed ones."""
        network, router = self.router.network, self.router
        steps = np.asarray(way[:-1], np.int64) * network.nodes + np.asarray(way[1:], np.int64)
        first, last = np.searchsorted(network.ends, steps), np.searchsorted(network.ends, steps, side="right")
        if bool(np.all(last - first == 1)):
            return first
        cost = router.arc_seconds(self.vehicle) + np.where(router.closed, FARTHEST_S, 0.0)
        return np.asarray([low + int(np.argmin(cost[low:high])) for low, high in zip(first.tolist(), last.tolist(), strict=True)], np.intp)
