"""A road network that is made up: streets on a grid around the core, roads between the towns beyond it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ops.demo.areas import KM_PER_DEGREE, town_places
from ops.demo.cities import DemoCity

STEP_M = 250
HALF_EAST, HALF_NORTH = 32, 26
"""Streets of the grid on each side of the core: 16 km by 13 km."""
ARTERIAL = 4
"""Every so many streets one is broad."""
PIECE_M = 1000
STREET_KMH, ARTERIAL_KMH, ROAD_KMH = 30.0, 50.0, 60.0
SIREN = 1.3
"""How much faster with lights and siren. Speeds and layout are assumptions of the demo."""


@dataclass
class Network:
    """Nodes and directed arcs as the traffic service takes them."""

    nodes: list[tuple[float, float]] = field(default_factory=list)
    arcs: list[tuple[int, int, float, float]] = field(default_factory=list)
    """From, to, metres, km/h."""

    def add(self, lon: float, lat: float) -> int:
        self.nodes.append((round(lon, 6), round(lat, 6)))
        return len(self.nodes) - 1

    def join(self, here: int, there: int, kmh: float) -> None:
        """Both ways."""
        metres = apart_m(self.nodes[here], self.nodes[there])
        self.arcs += [(here, there, metres, kmh), (there, here, metres, kmh)]


def apart_m(here: tuple[float, float], there: tuple[float, float]) -> float:
    east = (there[0] - here[0]) * math.cos(math.radians((here[1] + there[1]) / 2))
    return math.hypot(east, there[1] - here[1]) * KM_PER_DEGREE * 1000


def demo_network(city: DemoCity) -> Network:
    """The grid, and a road from each town to those beside it."""
    network = Network()
    grid = _grid(city, network)
    _country(city, network, grid)
    return network


def _grid(city: DemoCity, network: Network) -> dict[tuple[int, int], int]:
    step_lat = STEP_M / 1000 / KM_PER_DEGREE
    step_lon = step_lat / math.cos(math.radians(city.lat))
    columns, rows = range(-HALF_EAST, HALF_EAST + 1), range(-HALF_NORTH, HALF_NORTH + 1)
    grid = {(x, y): network.add(city.lon + x * step_lon, city.lat + y * step_lat) for y in rows for x in columns}
    for (x, y), here in grid.items():
        for (right, up), across in (((1, 0), y), ((0, 1), x)):
            if (x + right, y + up) in grid:
                network.join(here, grid[x + right, y + up], ARTERIAL_KMH if across % ARTERIAL == 0 else STREET_KMH)
    return grid


def _country(city: DemoCity, network: Network, grid: dict[tuple[int, int], int]) -> None:
    """Towns outside the grid, joined to their neighbours in the Delaunay triangulation; a town inside it lies on its nearest crossing."""
    from scipy.spatial import Delaunay, KDTree

    crossings = list(grid.values())
    nearest = KDTree([network.nodes[node] for node in crossings])
    places, nodes = list(town_places(city).values()), []
    for place in places:
        off, found = nearest.query(place)
        nodes.append(crossings[int(found)] if off * KM_PER_DEGREE * 1000 < 2 * STEP_M else network.add(*place))
    inside = set(crossings)
    pairs = {tuple(sorted((int(a), int(b)))) for simplex in Delaunay(places).simplices for a, b in zip(simplex, (*simplex[1:], simplex[0]), strict=True)}
    for a, b in sorted(pairs):
        if nodes[a] in inside and nodes[b] in inside:
            continue
        _road(network, nodes[a], nodes[b])


def _road(network: Network, here: int, there: int) -> None:
    """A straight road in pieces of a kilometre."""
    start, end = network.nodes[here], network.nodes[there]
    pieces = max(1, math.ceil(apart_m(start, end) / PIECE_M))
    last = here
    for piece in range(1, pieces):
        share = piece / pieces
        node = network.add(start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
        network.join(last, node, ROAD_KMH)
        last = node
    network.join(last, there, ROAD_KMH)


def as_csv(network: Network) -> tuple[str, str]:
    """The files `nodes` and `arcs` of the traffic service's `PUT /network`."""
    return _csv(("node", "lon", "lat", "off_road_access"), ((number, lon, lat, 1) for number, (lon, lat) in enumerate(network.nodes))), _csv(
        ("arc", "from", "to", "length_m", "t_regular_s", "t_sirens_s", "speed_regular_kmh"),
        (
            (number, here, there, round(metres, 1), round(metres / kmh * 3.6, 1), round(metres / kmh * 3.6 / SIREN, 1), kmh)
            for number, (here, there, metres, kmh) in enumerate(network.arcs)
        ),
    )


def _csv(header: Sequence[str], rows: Iterator[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
