"""How soon one incident knows its travel time to every unit: this project's router, bare scipy, and networkx in full: `python -m bench.routes`.

On the roads of Edmonton (if the shared data are there) and on a synthetic network of 160,000 nodes. The router snaps all points to nodes and searches
backwards from the incident up to a limit; bare scipy is one `dijkstra` over the same reversed matrix with the same
limit; networkx is one Dijkstra in full over the reversed graph, since it has no arrays to answer from. Medians of processor seconds, so that other work on the
machine counts little. Must reach: at least 50 times faster than networkx, within 2 times bare scipy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from shared.roads import Network, Router, make_network

UNITS, LIMIT_S, ROUNDS, SIDE = 200, 480.0, 101, 400
FASTER, WITHIN = 50, 2
EDMONTON = Path(__file__).resolve().parents[2] / "shared" / "data" / "traffic"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    networks = {"synthetic": synthetic()}
    if (found := edmonton()) is not None:
        networks = {"Edmonton": found, **networks}
    else:
        sys.stdout.write("Edmonton is left out: the shared data are not there.\n")
    good = [measured(name, network, rounds) for name, network in networks.items()]
    return 0 if all(good) else 1


def measured(name: str, network: Network, rounds: int) -> bool:
    """Print the medians and ratios of one network; whether they are as good as they must be."""
    from scipy.sparse.csgraph import dijkstra

    chance = np.random.default_rng(20261122)
    places = list(zip(network.lon.tolist(), network.lat.tolist(), strict=True))
    units = [places[each] for each in chance.choice(network.access_nodes, UNITS)]
    incidents = [places[each] for each in chance.choice(network.access_nodes, rounds)]
    router = Router(network)
    matrix = router.graph("ambulance")._matrix(backwards=True)
    nodes = [int(node) for node in router.nearest(incidents)[0]]
    router.many_to_one(units, incidents[0], "ambulance", LIMIT_S)
    ours, routed, bare = medians(
        rounds,
        lambda each: router.many_to_one(units, incidents[each], "ambulance", LIMIT_S),
        lambda each: with_routes(router, units, incidents[each]),
        lambda each: dijkstra(matrix, indices=nodes[each], limit=LIMIT_S),
    )
    graph = reversed_graph(network, router.arc_seconds("ambulance"))
    (full,) = medians(3, lambda each: nx.single_source_dijkstra_path_length(graph, nodes[each], weight="s"))
    faster, times_bare = full / ours, ours / bare
    good = faster >= FASTER and times_bare <= WITHIN
    sys.stdout.write(
        f"{name}: {network.nodes} nodes, {network.arcs} arcs, {UNITS} units, limit {LIMIT_S:.0f} s\n"
        f"  router {ours * 1e3:.2f} ms (with the routes of the two soonest {routed * 1e3:.2f} ms), bare scipy {bare * 1e3:.2f} ms, "
        f"networkx {full * 1e3:.0f} ms\n"
        f"  {faster:.0f} times faster than networkx (at least {FASTER}), {times_bare:.2f} times bare scipy (at most {WITHIN}): "
        f"{'good' if good else 'NOT GOOD'}\n"
    )
    return good


def with_routes(router: Router, units: list[tuple[float, float]], incident: tuple[float, float]) -> None:
    """What a dispatcher wants: all times, and the ways of the two soonest."""
    reach = router.many_to_one(units, incident, "ambulance", LIMIT_S, ways=True)
    for place in np.argsort(reach.seconds)[:2]:
        reach.route(int(place))


def medians(rounds: int, *acts: Callable[[int], Any]) -> list[float]:
    """Processor seconds of one call of each; they take turns, so that what else the machine does disturbs them alike."""
    found: list[list[float]] = [[] for _ in acts]
    for each in range(rounds):
        for act, seconds in zip(acts, found, strict=True):
            began = time.process_time()
            act(each)
            seconds.append(time.process_time() - began)
    return [statistics.median(seconds) for seconds in found]


def reversed_graph(network: Network, seconds: Any) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(zip(network.head.tolist(), network.tail.tolist(), seconds.tolist(), strict=True), weight="s")
    return graph


def synthetic() -> Network:
    """A grid of 400 by 400 crossings about 150 m apart, a tenth of its streets one-way: 160,000 nodes, some 606,000 arcs."""
    chance = np.random.default_rng(7)
    number = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    pairs = np.concatenate([np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()]), np.stack([number[:-1].ravel(), number[1:].ravel()])], axis=1)
    tail, head = np.concatenate([pairs, pairs[::-1][:, chance.random(pairs.shape[1]) > 0.1]], axis=1)
    seconds = chance.uniform(8, 20, len(tail))
    y, x = np.divmod(np.arange(SIDE * SIDE), SIDE)
    network, _ = make_network(
        node_ids=np.arange(SIDE * SIDE),
        lon=112.6 + x * 0.0015,
        lat=27.5 + y * 0.00135,
        tail=tail,
        head=head,
        length_m=np.full(len(tail), 150.0),
        car_s=seconds,
        siren_s=seconds * 0.75,
    )
    return network


def edmonton() -> Network | None:
    """The roads of Edmonton as JEMSS has them, or None."""
    files = [EDMONTON / f"roads_edmonton_{part}.csv.gz" for part in ("nodes", "arcs")]
    return read_jemss(*files) if all(file.exists() for file in files) else None


def read_jemss(nodes_file: Path, arcs_file: Path) -> Network:
    """A network whose nodes are numbered from 1 in the order of their file."""
    import pyarrow.csv as csv

    nodes, arcs = csv.read_csv(nodes_file), csv.read_csv(arcs_file)
    network, _ = make_network(
        node_ids=nodes["node"].to_numpy(),
        lon=nodes["lon"].to_numpy(),
        lat=nodes["lat"].to_numpy(),
        tail=arcs["from"].to_numpy() - 1,
        head=arcs["to"].to_numpy() - 1,
        length_m=arcs["length_m"].to_numpy(),
        car_s=arcs["t_regular_s"].to_numpy(),
        siren_s=arcs["t_sirens_s"].to_numpy(),
        access=nodes["off_road_access"].to_numpy() == 1,
    )
    return network


if __name__ == "__main__":
    sys.exit(main())
