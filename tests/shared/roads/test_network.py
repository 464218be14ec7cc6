"""Networks as bytes, and which arcs are closed by what."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
import shapely

from shared.roads import BadGeometry, BadNetwork, Masks, Network, closed_arcs, from_bytes, make_network, to_bytes
from shared.roads.closing import geometry_of
from tests.shared.roads.grid import at, grid, square


def test_a_network_comes_back_from_its_bytes_and_cannot_be_changed() -> None:
    network = grid(9, seed=3, one_way=0.2)
    again = from_bytes(to_bytes(network))
    assert again.version == network.version
    assert np.array_equal(again.tail, network.tail) and np.array_equal(again.car_s, network.car_s)
    with pytest.raises(ValueError, match="read-only"):
        again.car_s[0] = 1


def test_the_order_of_what_was_given_does_not_change_the_version() -> None:
    given = {"tail": [0, 1, 2, 1], "head": [1, 2, 1, 0], "length_m": [1, 2, 3, 4], "car_s": [1, 2, 3, 4], "siren_s": [1, 2, 3, 4]}
    nodes = {"node_ids": [1, 2, 3], "lon": [113, 113.1, 113.2], "lat": [27.8] * 3}
    one, places = make_network(**nodes, **given)  # type: ignore[arg-type]
    other, _ = make_network(**nodes, **{name: values[::-1] for name, values in given.items()})  # type: ignore[arg-type]
    assert one.version == other.version and places.tolist() == [0, 3, 1, 2]


def test_lines_stay_with_their_arcs() -> None:
    network, _ = make_network(
        node_ids=[1, 2],
        lon=[113, 113.01],
        lat=[27.8, 27.8],
        tail=[1, 0],
        head=[0, 1],
        length_m=[1000, 1200],
        car_s=[90, 90],
        siren_s=[60, 60],
        lines=([0, 0, 2], [113.002, 113.008], [27.81, 27.81]),
    )
    assert network.line(0)[:, 1].tolist() == pytest.approx([27.8, 27.81, 27.81, 27.8])
    assert network.line(1)[:, 1].tolist() == pytest.approx([27.8, 27.8])
    hill = {"type": "Polygon", "coordinates": [[[113.004, 27.805], [113.006, 27.805], [113.006, 27.82], [113.004, 27.82], [113.004, 27.805]]]}
    assert closed_arcs(network, [hill]).tolist() == [True, False]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda content: content[:200],
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(np.float32(10.0).tobytes(), np.float32(-1.0).tobytes()),
        lambda content: content.replace(np.float32(10.0).tobytes(), np.float32(11.0).tobytes()),
        lambda _: b"\x00" * 4096,
    ],
)
def test_bytes_that_are_no_network_are_refused(spoil) -> None:
    with pytest.raises(BadNetwork):
        from_bytes(spoil(to_bytes(grid(4))))


def test_another_table_is_no_network() -> None:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"node_ids": pa.array([[1]], pa.large_list(pa.int64()))})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(BadNetwork, match="other columns"):
        from_bytes(bytes(sink.getvalue()))


@pytest.mark.parametrize(
    ("given", "why"),
    [({"head": [2]}, "not there"), ({"car_s": [float("nan")]}, "car_s"), ({"lon": [0, 181]}, "lon"), ({"length_m": [-1]}, "length_m")],
)
def test_arrays_that_are_no_network_are_refused(given, why) -> None:
    sound = {"node_ids": [1, 2], "lon": [0, 1], "lat": [0, 1], "tail": [0], "head": [1], "length_m": [1], "car_s": [1], "siren_s": [1]}
    with pytest.raises(BadNetwork, match=why):
        make_network(**(sound | given))


def test_an_area_closes_what_it_touches_and_a_line_the_road_that_it_follows() -> None:
    network = grid(5)
    touched = closed_arcs(network, [square(0.4, -0.5, 0.6, 0.5)])
    assert _ends(network, touched) == {frozenset((0, 1))} and touched.sum() == 2
    line = {"type": "LineString", "coordinates": [at(0, 1.02), at(2, 1.02)]}
    along = closed_arcs(network, [line])
    assert _ends(network, along) == {frozenset((5, 6)), frozenset((6, 7))}
    point = closed_arcs(network, [{"type": "Point", "coordinates": at(1.5, 2)}])
    assert _ends(network, point) == {frozenset((11, 12))}
    assert not closed_arcs(network, [square(50, 50, 60, 60)]).any() and not closed_arcs(network, []).any()


def _ends(network: Network, arcs) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in zip(network.tail[arcs].tolist(), network.head[arcs].tolist(), strict=True)}


@pytest.mark.parametrize(
    "geometry", [{}, {"type": "Polygon"}, {"type": "Point", "coordinates": [500, 0]}, {"type": "Polygon", "coordinates": []}, {"type": "Nothing"}]
)
def test_what_is_no_geometry_is_refused(geometry) -> None:
    with pytest.raises(BadGeometry):
        closed_arcs(grid(3), [geometry])


def test_a_tangle_is_untangled_soon_or_refused() -> None:
    places = np.random.default_rng(1).random((1100, 2))
    tangle, knot = ({"type": "Polygon", "coordinates": [[*some, some[0]]]} for some in (places[:150].tolist(), places.tolist()))
    begun = time.monotonic()
    assert shapely.area(geometry_of(tangle)) > 0
    with pytest.raises(BadGeometry, match="crosses itself"):
        geometry_of(knot)
    assert time.monotonic() - begun < 5


def test_what_a_geometry_closes_is_worked_out_once_for_each_network_whatever_the_order_of_its_members():
    first, second, masks = grid(3), grid(4), Masks(most=2)
    area = square(0.4, -0.5, 0.6, 0.5)
    known = masks.of(first, area)
    assert known.tolist() == closed_arcs(first, [area]).tolist()
    assert masks.of(first, dict(reversed(area.items()))) is known
    assert masks.of(second, area).tolist() == closed_arcs(second, [area]).tolist()
    masks.of(first, square(50, 50, 60, 60))
    assert masks.of(first, area) is not known, "the oldest is forgotten"
    with pytest.raises(ValueError):
        known[0] = not known[0]
