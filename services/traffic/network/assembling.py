"""Ways become a network: split where they meet, cut where they are long, each direction an arc of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.traffic.network.domain import SIREN_PART
from shared.roads.network import BadNetwork, Network, make_network
from shared.roads.plane import apart_m

PIECE_M = 200.0
"""Ways are cut about every so many metres, so that a closure takes no more than it must, and points are never far from a node."""
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(slots=True)
class Ways:
    """Drivable ways as they were read: their points one after another."""

    refs: list[int] = field(default_factory=list)
    """Ids of the points; equal ids are one place."""
    lon: list[float] = field(default_factory=list)
    lat: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Points of each way."""
    speeds: list[tuple[float, float]] = field(default_factory=list)
    """km/h along and against; not a number where nobody drives."""
    facts: list[tuple[str | None, str | None, str, int | None]] = field(default_factory=list)
    """Way, name, class, lanes."""
    no_stop: list[bool] = field(default_factory=list)

    def add(self, points: Sequence[tuple[int, float, float]], speeds: tuple[float | None, float | None], facts: Any, *, no_stop: bool) -> None:
        refs, lon, lat = zip(*points, strict=True)
        self.refs += refs
        self.lon += lon
        self.lat += lat
        self.sizes.append(len(points))
        self.speeds.append((speeds[0] or np.nan, speeds[1] or np.nan))
        self.facts.append(facts)
        self.no_stop.append(no_stop)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A network, and the way that each of its arcs is part of."""

    network: Network
    way: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Points:
    """The points of all ways after long steps were divided."""

    refs: Ids
    lon: Floats
    lat: Floats
    way: NDArray[np.intp]
    along_m: Floats
    """From the beginning of the point's way."""


def assemble(ways: Ways) -> Assembled:
    """The network of these ways. Raises `BadNetwork` if there are none."""
    if not ways.sizes:
        raise BadNetwork("Not a road network: it has no way that cars drive on.")
    points = _divided(ways)
    knots = np.flatnonzero(_breaks(points))
    first, last = knots[:-1], knots[1:]
    same = points.way[first] == points.way[last]
    first, last = first[same], last[same]
    ids, place = np.unique(points.refs[np.concatenate([first, last])], return_index=True)
    at = np.concatenate([first, last])[place]
    tail, head = np.searchsorted(ids, points.refs[first]), np.searchsorted(ids, points.refs[last])
    way, length = points.way[first], points.along_m[last] - points.along_m[first]
    speeds = np.asarray(ways.speeds, np.float64)[way]
    ahead, back = np.flatnonzero(np.isfinite(speeds[:, 0])), np.flatnonzero(np.isfinite(speeds[:, 1]))
    lines = _lines(points, np.concatenate([first[ahead], last[back]]), np.concatenate([last[ahead], first[back]]))
    seconds = np.concatenate([length[ahead] / speeds[ahead, 0], length[back] / speeds[back, 1]]) * 3.6
    network, order = make_network(
        node_ids=ids,
        lon=points.lon[at],
        lat=points.lat[at],
        tail=np.concatenate([tail[ahead], head[back]]),
        head=np.concatenate([head[ahead], tail[back]]),
        length_m=np.concatenate([length[ahead], length[back]]),
        car_s=seconds,
        siren_s=seconds * SIREN_PART,
        access=_access(len(ids), tail, head, np.asarray(ways.no_stop)[way]),
        lines=lines,
    )
    return Assembled(network, np.concatenate([way[ahead], way[back]])[order])


def _access(nodes: int, tail: NDArray[np.intp], head: NDArray[np.intp], no_stop: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Nodes on any road where one can stop."""
    access = np.zeros(nodes, np.bool_)
    access[tail[~no_stop]] = access[head[~no_stop]] = True
    return access


def _divided(ways: Ways) -> _Points:
    refs, lon, lat = np.asarray(ways.refs, np.int64), np.asarray(ways.lon, np.float64), np.asarray(ways.lat, np.float64)
    way = np.repeat(np.arange(len(ways.sizes)), ways.sizes)
    inside = way[1:] == way[:-1]
    step_m = np.where(inside, apart_m(lon[:-1], lat[:-1], lon[1:], lat[1:]), 0.0)
    pieces = np.maximum(np.ceil(step_m / PIECE_M), 1).astype(np.int64)
    if pieces.sum() > 20 * len(refs) + 1_000_000:
        raise BadNetwork("Not a road network: its points lie too far apart for roads.")
    source = np.repeat(np.arange(len(refs) - 1), pieces)
    number = np.arange(len(source)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    part = number / pieces[source]
    full_refs = np.where(number == 0, refs[source], -1 - np.arange(len(source)) + min(0, int(refs.min())))
    full = _Points(
        np.append(full_refs, refs[-1]),
        np.append(lon[source] + (lon[source + 1] - lon[source]) * part, lon[-1]),
        np.append(lat[source] + (lat[source + 1] - lat[source]) * part, lat[-1]),
        np.append(way[source], way[-1]),
        np.zeros(0),
    )
    steps = np.append(0.0, (step_m / pieces)[source])
    total = np.cumsum(steps)
    starts = np.flatnonzero(np.append(True, full.way[1:] != full.way[:-1]))
    along = total - np.repeat(total[starts], np.diff(np.append(starts, len(total))))
    return _Points(full.refs, full.lon, full.lat, full.way, along)


def _breaks(points: _Points) -> NDArray[np.bool_]:
    """Points where arcs begin or end: ends of ways, where ways meet, and about every 200 m."""
    _, inverse, counts = np.unique(points.refs, return_inverse=True, return_counts=True)
    ends = np.append(True, points.way[1:] != points.way[:-1])
    piece = np.floor(points.along_m / PIECE_M)
    cut = np.append(False, (piece[1:] != piece[:-1]) & ~ends[1:])
    return np.asarray((counts[inverse] > 1) | ends | np.append(ends[1:], True) | cut)


def _lines(points: _Points, first: NDArray[np.intp], last: NDArray[np.intp]) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Inner points of the arcs from `first` to `last`, which lie in one way, forwards or backwards."""
    counts = np.abs(last - first) - 1
    start = np.append(0, np.cumsum(counts))
    step = np.sign(last - first)
    at = np.repeat(first, counts) + np.repeat(step, counts) * (np.arange(start[-1]) - np.repeat(start[:-1], counts) + 1)
    return start, points.lon[at], points.lat[at]


def drawn(network: Network, facts: pa.Table) -> pa.Table:
    """A row for each arc: id, ends, what is known of its way, times, its line as GeoJSON and the box around it."""
    import shapely

    tails, heads = network.node_ids[network.tail], network.node_ids[network.head]
    place = np.arange(network.arcs)
    number = place - np.maximum.accumulate(np.where(np.append(True, (np.diff(network.tail) != 0) | (np.diff(network.head) != 0)), place, 0))
    ids = [
        f"{tail}-{head}" if not again else f"{tail}-{head}-{again + 1}"
        for tail, head, again in zip(tails.tolist(), heads.tolist(), number.tolist(), strict=True)
    ]
    points, owner = network.lines(place)
    lines = shapely.linestrings(points.round(7), indices=owner)
    least_x, most_x, least_y, most_y = network.boxes
    columns = {
        "id": pa.array(ids),
        "from_node": pa.array(tails).cast(pa.string()),
        "to_node": pa.array(heads).cast(pa.string()),
        **{name: facts[name] for name in ("way", "name", "road_class", "lanes")},
        **{name: getattr(network, name).astype(np.float64).round(3) for name in ("length_m", "car_s", "siren_s")},
        "geometry": pa.array(shapely.to_geojson(lines).tolist()),
        "west": least_x,
        "south": least_y,
        "east": most_x,
        "north": most_y,
    }
    return pa.table(columns)
