"""A road network as immutable arrays: nodes, directed arcs between them, and the order in which searches read them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.roads.plane import Plane

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
STEP_DEG = 1e-7
"""Coordinates are kept to a centimetre."""
SHORTEST_S = 1e-3
"""An arc without length takes this long: searches take a cost of nothing for no arc."""


class BadNetwork(ValueError):
    """The arrays are no network; the text says why."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """Nodes and directed arcs, sorted by tail and head. Made by `make_network`; nothing in it ever changes, so threads may share it.

    Shapes: n nodes, a arcs, p inner points of lines.
    """

    version: str
    """Digest of the content: equal networks have equal versions."""
    node_ids: NDArray[np.int64]
    """(n) Ids as the source has them; negative for nodes that cutting made."""
    lon: Floats
    lat: Floats
    """(n) Degrees, WGS 84."""
    access: Mask
    """(n) Whether a vehicle may begin or end there: not on a motorway, and in the largest part in which every node reaches every other."""
    tail: Ints
    head: Ints
    """(a) Places of the ends in the arrays of nodes."""
    length_m: NDArray[np.float32]
    car_s: NDArray[np.float32]
    """(a) Seconds of a car on the free road."""
    siren_s: NDArray[np.float32]
    """(a) Seconds of an ambulance with lights and siren."""
    line_start: Ints
    """(a + 1) Where the inner points of each arc's line begin."""
    line_lon: Floats
    line_lat: Floats
    """(p) Points of the lines between the ends, WGS 84."""

    @property
    def nodes(self) -> int:
        return len(self.lon)

    @property
    def arcs(self) -> int:
        return len(self.tail)

    @cached_property
    def plane(self) -> Plane:
        """Metres around the middle of the network."""
        return Plane.around(self.lon, self.lat)

    @cached_property
    def order(self) -> SearchOrder:
        """The arcs as searches read them, forwards and backwards."""
        return SearchOrder.of(self)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """(a) One number for the two ends of each arc, rising: where the arcs between two nodes are."""
        return self.tail.astype(np.int64) * self.nodes + self.head

    @cached_property
    def boxes(self) -> Floats:
        """(4, a) Least and greatest longitude, least and greatest latitude of each arc's line."""
        return np.stack([*_extent(self, self.lon, self.line_lon), *_extent(self, self.lat, self.line_lat)])

    @cached_property
    def access_tree(self) -> Any:
        """A KD-tree over the nodes where a vehicle may begin or end, in metres of the plane; their places are `access_nodes`."""
        from scipy.spatial import cKDTree

        return cKDTree(self.plane.metres(self.lon[self.access_nodes], self.lat[self.access_nodes]))

    @cached_property
    def access_nodes(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.access)

    def line(self, arc: int) -> Floats:
        """(k, 2) Longitude and latitude along an arc, ends included."""
        points, _ = self.lines(np.asarray([arc]))
        return points

    def lines(self, arcs: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
        """(k, 2) Longitude and latitude along some arcs, ends included, one after another; and (k) which of the arcs each point belongs to."""
        counts = np.diff(self.line_start)[arcs].astype(np.int64)
        first = np.concatenate([[0], np.cumsum(counts + 2)])
        inner = np.ones(first[-1], np.bool_)
        inner[first[:-1]] = inner[first[1:] - 1] = False
        into = np.concatenate([[0], np.cumsum(counts)])
        between = np.repeat(self.line_start[arcs] - into[:-1], counts) + np.arange(into[-1])
        points = np.empty((first[-1], 2))
        for column, (ends, inside) in enumerate(((self.lon, self.line_lon), (self.lat, self.line_lat))):
            points[first[:-1], column], points[first[1:] - 1, column] = ends[self.tail[arcs]], ends[self.head[arcs]]
            points[inner, column] = inside[between]
        return points, np.repeat(np.arange(len(arcs)), counts + 2)


@dataclass(frozen=True, eq=False)
class SearchOrder:
    """Compressed rows over groups of parallel arcs, by tail and by head."""

    groups: NDArray[np.intp]
    """Place of each group's first arc: arcs of a group share both ends."""
    parallel: bool
    """Whether any group has more than one arc."""
    indptr: Ints
    tails: Ints
    heads: Ints
    back_indptr: Ints
    back_tails: Ints
    back: NDArray[np.intp]
    """The groups in the order of their heads."""

    @classmethod
    def of(cls, network: Network) -> SearchOrder:
        tail, head, nodes = network.tail, network.head, network.nodes
        groups = np.flatnonzero(np.concatenate([[True], (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])])) if len(tail) else np.zeros(0, np.intp)
        tails, heads = tail[groups], head[groups]
        back = np.lexsort((tails, heads))
        return cls(groups, len(groups) < len(tail), _starts(tails, nodes), tails, heads, _starts(heads, nodes), tails[back], back)


def make_network(
    *,
    node_ids: ArrayLike,
    lon: ArrayLike,
    lat: ArrayLike,
    tail: ArrayLike,
    head: ArrayLike,
    length_m: ArrayLike,
    car_s: ArrayLike,
    siren_s: ArrayLike,
    access: ArrayLike | None = None,
    lines: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> tuple[Network, NDArray[np.intp]]:
    """A network from arrays in any order (`tail`, `head`: places of nodes), and the place that each of its arcs had in them.

    `lines` are the arrays `line_start`, `line_lon`, `line_lat`. A node on a motorway (`access` false) stays without access; of the others, those outside the
    largest strongly connected part lose it. Raises `BadNetwork`.
    """
    tails, heads = np.asarray(tail, np.int32), np.asarray(head, np.int32)
    order = np.lexsort((np.asarray(siren_s, np.float32), np.asarray(car_s, np.float32), heads, tails))
    count = len(np.asarray(lon))
    start, line_lon, line_lat = _reordered(lines, order) if lines else (np.zeros(len(tails) + 1, np.int32), np.zeros(0), np.zeros(0))
    content: dict[str, NDArray[Any]] = {
        "node_ids": np.asarray(node_ids, np.int64),
        "lon": _rounded(lon),
        "lat": _rounded(lat),
        "access": np.ones(count, np.bool_) if access is None else np.asarray(access, np.bool_),
        "tail": tails[order],
        "head": heads[order],
        "length_m": np.asarray(length_m, np.float32)[order],
        "car_s": np.maximum(np.asarray(car_s, np.float32)[order], np.float32(SHORTEST_S)),
        "siren_s": np.maximum(np.asarray(siren_s, np.float32)[order], np.float32(SHORTEST_S)),
        "line_start": start,
        "line_lon": _rounded(line_lon),
        "line_lat": _rounded(line_lat),
    }
    check(content)
    content["access"] = content["access"] & _strong(content["tail"], content["head"], count)
    return sealed(content), order


def sealed(content: dict[str, NDArray[Any]]) -> Network:
    """The network of checked arrays, which can no longer be written to."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        content[name].flags.writeable = False
        digest.update(f"{name} {content[name].dtype.str} {len(content[name])}\n".encode() + np.ascontiguousarray(content[name]).tobytes())
    return Network(version=digest.hexdigest()[:32], **content)


def check(content: dict[str, NDArray[Any]]) -> None:
    """Raise `BadNetwork` unless lengths, places, coordinates, times and the order of the arcs are sound."""
    nodes, arcs, points = len(content["lon"]), len(content["tail"]), len(content["line_lon"])
    lengths = {"node_ids": nodes, "lat": nodes, "access": nodes, "line_lat": points, "line_start": arcs + 1}
    lengths |= dict.fromkeys(("head", "length_m", "car_s", "siren_s"), arcs)
    for name, length in lengths.items():
        _need(len(content[name]) == length, f"{name} has {len(content[name])} values instead of {length}")
    _need(nodes > 0 and arcs > 0, "a network needs nodes and arcs")
    for name, most in (("lon", 180), ("lat", 90), ("line_lon", 180), ("line_lat", 90)):
        _need(bool(np.all(np.abs(content[name]) <= most)), f"{name} has values beyond ±{most}° or none")
    for name in ("length_m", "car_s", "siren_s"):
        _need(bool(np.all((content[name] >= 0) & (content[name] < 1e7))), f"{name} has values below zero, beyond 10 million, or none")
    for name in ("tail", "head"):
        _need(bool(np.all((content[name] >= 0) & (content[name] < nodes))), f"{name} names nodes that are not there")
    start = content["line_start"]
    _need(start[0] == 0 and start[-1] == points and bool(np.all(np.diff(start) >= 0)), "line_start does not fit the points")
    along = content["tail"].astype(np.int64) * nodes + content["head"]
    _need(bool(np.all(np.diff(along) >= 0)), "the arcs are not sorted by tail and head")


def _need(sound: bool, otherwise: str) -> None:
    if not sound:
        raise BadNetwork(f"Not a road network: {otherwise}.")


def _rounded(degrees: ArrayLike) -> Floats:
    return np.round(np.asarray(degrees, np.float64) / STEP_DEG) * STEP_DEG


def _reordered(lines: tuple[ArrayLike, ArrayLike, ArrayLike], order: NDArray[np.intp]) -> tuple[Ints, Floats, Floats]:
    """The inner points in the new order of the arcs."""
    start, lon, lat = np.asarray(lines[0], np.int64), np.asarray(lines[1], np.float64), np.asarray(lines[2], np.float64)
    counts = np.diff(start)[order]
    into = np.concatenate([[0], np.cumsum(counts)])
    points = np.repeat(start[:-1][order] - into[:-1], counts) + np.arange(into[-1])
    return into.astype(np.int32), lon[points], lat[points]


def _strong(tail: Ints, head: Ints, nodes: int) -> Mask:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    links = csr_array((np.ones(len(tail), np.int8), (tail, head)), shape=(nodes, nodes))
    _, part = connected_components(links, directed=True, connection="strong")
    return np.asarray(part == np.argmax(np.bincount(part)))


def _starts(sorted_ends: Ints, nodes: int) -> Ints:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_ends, minlength=nodes))]).astype(np.int32)


def _extent(network: Network, at: Floats, inner: Floats) -> tuple[Floats, Floats]:
    ends = at[network.tail], at[network.head]
    least, most = np.minimum(*ends), np.maximum(*ends)
    if len(inner):
        arc = np.repeat(np.arange(network.arcs), np.diff(network.line_start))
        np.minimum.at(least, arc, inner)
        np.maximum.at(most, arc, inner)
    return least, most


ARRAYS = tuple(field.name for field in fields(Network) if field.name != "version")
"""Names of the arrays, in the order in which they are digested and written."""
