"""Street grids for tests."""

from __future__ import annotations

import numpy as np

from shared.roads import Network, make_network

STEP_DEG = 0.001


def grid(side: int, *, seed: int | None = None, one_way: float = 0.0) -> Network:
    """`side` by `side` crossings, 0.001° apart; streets both ways, but for a part of them. With a seed, times vary."""
    chance = np.random.default_rng(seed)
    number = np.arange(side * side).reshape(side, side)
    pairs = np.concatenate([np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()]), np.stack([number[:-1].ravel(), number[1:].ravel()])], axis=1)
    back = pairs[::-1][:, chance.random(pairs.shape[1]) >= one_way]
    tail, head = np.concatenate([pairs, back], axis=1)
    seconds = chance.uniform(5, 15, len(tail)) if seed is not None else np.full(len(tail), 10.0)
    y, x = np.divmod(np.arange(side * side), side)
    network, _ = make_network(
        node_ids=np.arange(side * side),
        lon=113 + x * STEP_DEG,
        lat=27.8 + y * STEP_DEG,
        tail=tail,
        head=head,
        length_m=np.full(len(tail), 100.0),
        car_s=seconds,
        siren_s=seconds * 0.75,
    )
    return network


def at(x: float, y: float) -> tuple[float, float]:
    """The place of a crossing."""
    return 113 + x * STEP_DEG, 27.8 + y * STEP_DEG


def square(x0: float, y0: float, x1: float, y1: float) -> dict[str, object]:
    """A rectangle between two crossings' places."""
    (west, south), (east, north) = at(x0, y0), at(x1, y1)
    return {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]}
