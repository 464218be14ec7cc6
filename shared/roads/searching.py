"""Searches over a network's arcs at what they cost now: one Dijkstra from a node answers for all others, forwards or backwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.roads.network import Floats, Ints, Mask, SearchOrder

FARTHEST_S = 6 * 3600.0
"""No search goes farther. Closed arcs cost more than any search may, so it never enters them."""


@dataclass(frozen=True, eq=False)
class Tree:
    """Soonest ways between a root and all nodes within a limit."""

    seconds: Floats
    """(n) From the root, or to it if `backwards`; infinite where the limit ends."""
    before: Ints | None
    """(n + 1) The node before each on the way from the root; negative where there is none. `n` is a start beside the network."""

    def way(self, node: int) -> list[int]:
        """Nodes from the root to a reached one, both included, as the tree has them."""
        assert self.before is not None
        nodes, found = len(self.seconds), [node]
        while 0 <= (node := int(self.before[node])) < nodes:
            found.append(node)
        return found[::-1]

    @cached_property
    def roots(self) -> Ints:
        """(n) The first node of the way to each: for a search that begins at several."""
        assert self.before is not None
        nodes = len(self.seconds)
        up = np.where((self.before[:nodes] < 0) | (self.before[:nodes] >= nodes), np.arange(nodes), self.before[:nodes])
        while not np.array_equal(further := up[up], up):
            up = further
        return up.astype(np.int32)


class Graph:
    """The arcs of a network with one cost each: seconds, infinite for those that may not be used."""

    def __init__(self, order: SearchOrder, cost: Floats) -> None:
        """`cost` (a) is by arc, in the network's order."""
        self._order = order
        self.cost = np.minimum.reduceat(cost, order.groups) if order.parallel else cost
        self.nodes = len(order.indptr) - 1

    def search(self, root: int | tuple[NDArray[np.intp], Floats], limit_s: float, *, backwards: bool = False, ways: bool = False) -> Tree:
        """From one node, or from several, each with the seconds that it costs to begin there."""
        from scipy.sparse.csgraph import dijkstra

        limit_s = min(limit_s, FARTHEST_S)
        matrix, start = (self._matrix(backwards), root) if isinstance(root, int) else (self._with_start(root, backwards), self.nodes)
        found = dijkstra(matrix, directed=True, indices=start, limit=limit_s, return_predecessors=ways)
        seconds, before = found if ways else (found, None)
        return Tree(seconds[: self.nodes], before)

    def open_from(self) -> Mask:
        """(n) Nodes that have an arc away from them that may be used."""
        return self._ends(self._order.tails)

    def open_to(self) -> Mask:
        """(n) Nodes that have an arc towards them that may be used."""
        return self._ends(self._order.heads)

    def _ends(self, of_groups: Ints) -> Mask:
        found = np.zeros(self.nodes, np.bool_)
        found[of_groups[np.isfinite(self.cost)]] = True
        return found

    @cached_property
    def _forwards(self) -> Any:
        return _matrix(self.cost, self._order.heads, self._order.indptr)

    @cached_property
    def _back(self) -> Any:
        return _matrix(self.cost[self._order.back], self._order.back_tails, self._order.back_indptr)

    def _matrix(self, backwards: bool) -> Any:
        return self._back if backwards else self._forwards

    def _with_start(self, starts: tuple[NDArray[np.intp], Floats], backwards: bool) -> Any:
        """The arcs and one node more, from which the starts are reached in the seconds that they cost."""
        matrix, (nodes, seconds) = self._matrix(backwards), starts
        indptr = np.append(matrix.indptr, len(matrix.indices) + len(nodes)).astype(np.int32)
        return _matrix(np.concatenate([matrix.data, seconds]), np.concatenate([matrix.indices, nodes.astype(np.int32)]), indptr)


def _matrix(cost: Floats, ends: Ints, indptr: Ints) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.asarray(cost, np.float64), ends, indptr), shape=(len(indptr) - 1,) * 2)
