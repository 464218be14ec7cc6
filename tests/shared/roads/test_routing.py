"""Routes equal networkx, obey closures, and say where they end."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from shared.roads import Network, Router, Speeds, Vehicle, closed_arcs, make_network
from tests.shared.roads.grid import at, grid, square


def as_networkx(network: Network, seconds, closed=None) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(network.nodes))
    usable = np.ones(network.arcs, bool) if closed is None else ~closed
    for tail, head, cost in zip(network.tail[usable].tolist(), network.head[usable].tolist(), seconds[usable].tolist(), strict=True):
        if not graph.has_edge(tail, head) or graph[tail][head]["s"] > cost:
            graph.add_edge(tail, head, s=cost)
    return graph


def agree_with_networkx(network: Network, pairs: int, seed: int, closed=None, vehicle: Vehicle = "car") -> None:
    """One to one, many to one and one to many give networkx's times on random pairs of nodes, and the routes are as long as they say."""
    router = Router(network, closed=closed)
    graph = as_networkx(network, router.arc_seconds(vehicle), closed)
    chance = np.random.default_rng(seed)
    outside = np.flatnonzero(network.access & router.leaves & router.enters)
    places = list(zip(network.lon.tolist(), network.lat.tolist(), strict=True))
    for start, end in chance.choice(outside, (pairs, 2)).tolist():
        try:
            wanted = nx.dijkstra_path_length(graph, start, end, weight="s")
        except nx.NetworkXNoPath:
            wanted = np.inf
        route = router.route(places[start], places[end], vehicle)
        found = [
            np.inf if route is None else route.travel_s,
            router.many_to_one([places[start]], places[end], vehicle).seconds[0],
            router.one_to_many(places[start], [places[end]], vehicle).seconds[0],
        ]
        assert found == pytest.approx([wanted] * 3, rel=1e-6, abs=1e-2), (start, end)


@pytest.mark.parametrize("closing", [False, True])
def test_routes_on_a_grid_equal_networkx(closing: bool) -> None:
    network = grid(25, seed=7, one_way=0.3)
    closed = closed_arcs(network, [square(8.5, 8.5, 13.5, 17.5)]) if closing else None
    agree_with_networkx(network, 50, 11, closed)
    agree_with_networkx(network, 20, 12, closed, "fire_engine")


def test_the_soonest_of_parallel_arcs_counts_and_an_arc_without_length_is_an_arc() -> None:
    network, _ = make_network(
        node_ids=[1, 2, 3],
        lon=[113, 113.001, 113.002],
        lat=[27.8] * 3,
        tail=[0, 0, 1, 1, 2, 2],
        head=[1, 1, 2, 0, 1, 0],
        length_m=[300, 100, 0, 100, 0, 200],
        car_s=[9, 20, 0, 9, 0, 90],
        siren_s=[9, 7, 0, 9, 0, 90],
    )
    router = Router(network)
    by_car, with_siren = (router.route((113, 27.8), (113.002, 27.8), vehicle) for vehicle in ("car", "ambulance"))
    assert by_car is not None and (round(by_car.travel_s), by_car.length_m) == (9, 300)
    assert with_siren is not None and (round(with_siren.travel_s), with_siren.length_m) == (7, 100)
    closed = (network.length_m == 300) & (network.tail == 0)
    around = Router(network, closed=closed).route((113, 27.8), (113.002, 27.8), "car")
    assert around is not None and (round(around.travel_s), around.length_m) == (20, 100)


def test_a_route_goes_around_a_closed_area() -> None:
    network = grid(11)
    closed = closed_arcs(network, [square(3.5, -0.5, 6.5, 8.5)])
    free, around = (Router(network, closed=mask).route(at(0, 0), at(10, 0), "car") for mask in (None, closed))
    assert free is not None and around is not None
    assert (free.length_m, around.length_m) == (1000, 2800)
    assert around.line[:, 1].max() == pytest.approx(27.809)
    assert not around.enclosed and around.ends_at == at(10, 0)


def test_a_start_in_a_closed_area_may_leave_it() -> None:
    network = grid(11)
    router = Router(network, closed=closed_arcs(network, [square(3.5, 3.5, 6.5, 6.5)]))
    for vehicle, pace in (("car", 10), ("ambulance", 7.5)):
        route = router.route(at(5, 5), at(10, 5), vehicle)  # type: ignore[arg-type]
        assert route is not None and route.travel_s == pytest.approx(5 * pace)
        times = router.many_to_one([at(5, 5), at(0, 5)], at(10, 5), vehicle, ways=True)  # type: ignore[arg-type]
        assert times.seconds == pytest.approx([5 * pace, 14 * pace])
        found = times.route(0)
        assert found is not None and found.length_m == 500


def test_a_route_to_a_closed_area_ends_at_the_last_node_outside_and_says_how_far_it_is() -> None:
    network = grid(11)
    router = Router(network, closed=closed_arcs(network, [square(3.5, 3.5, 6.5, 6.5)]))
    for reach, place in (
        (router.many_to_one([at(10, 5), at(5, 0), at(4, 5)], at(5, 5), "car", ways=True), 0),
        (router.one_to_many(at(10, 5), [at(5, 5)], "car", ways=True), 0),
    ):
        route = reach.route(place)
        assert route is not None and route.enclosed
        assert route.ends_at == pytest.approx(at(7, 5)) and route.travel_s == pytest.approx(30) and route.length_m == 300
        assert route.left_m == pytest.approx(196.7, abs=1)
    assert reach.seconds == pytest.approx([30])


def test_the_way_to_the_road_counts_and_a_point_far_off_is_not_reached() -> None:
    router = Router(grid(5))
    on, off = router.route(at(0, 0), at(4, 4), "car"), router.route(at(0, -1), at(4, 4), "car")
    assert on is not None and off is not None
    assert off.travel_s - on.travel_s == pytest.approx(111.2 / 10 * 3.6, rel=0.01)
    assert router.route(at(0, -6), at(4, 4), "car") is None
    assert router.many_to_one([at(0, 0)], at(0, -6), "car").seconds.tolist() == [np.inf]


def test_a_limit_bounds_what_is_answered() -> None:
    router = Router(grid(11))
    assert router.many_to_one([at(x, 0) for x in range(5)], at(0, 0), "car", 25).seconds.tolist() == pytest.approx([0, 10, 20, np.inf, np.inf], abs=0.1)


def test_a_slow_detector_slows_cars_and_no_engine() -> None:
    network = grid(11)
    slow = Speeds.near(network, [(*at(5.5, 0), 6.0)])
    assert 0 < len(slow.arcs) < network.arcs
    free, live = Router(network), Router(network, slow)
    pair = at(4, 0), at(7, 0)
    by = {(router, vehicle): router.route(*pair, vehicle) for router in (free, live) for vehicle in ("car", "fire_engine")}
    assert by[live, "car"].travel_s > by[free, "car"].travel_s  # type: ignore[union-attr]
    assert by[live, "fire_engine"].travel_s == by[free, "fire_engine"].travel_s  # type: ignore[union-attr]


def test_an_isochrone_grows_with_time_and_stays_out_of_closed_areas() -> None:
    network = grid(21)
    router = Router(network, closed=closed_arcs(network, [square(11.5, -0.5, 14.5, 20.5)]))
    small, large = (router.isochrone(at(10, 10), "car", seconds) for seconds in (31, 61))
    assert small is not None and large is not None and large.outline is not None
    assert len(small.nodes) == 4 * 6 + 1 - 4 and set(small.nodes) < set(large.nodes)
    assert max(x for x, _ in large.outline["coordinates"][0]) < 113.0125  # type: ignore[index]
    assert router.isochrone(at(10, 40), "car", 60) is None
