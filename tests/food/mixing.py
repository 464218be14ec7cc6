"""Random graphs of mixing and splitting, and how much of a lot is where, computed in plain Python."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.food.tracing.domain import Move

AT = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Kitchen:
    """Lots with what was made of each, and transformations: lots and quantities in, lots and quantities out."""

    quantities: dict[str, float] = field(default_factory=dict)
    events: list[tuple[dict[str, float], dict[str, float]]] = field(default_factory=list)

    def moves(self) -> list[Move]:
        found = []
        for number, (into, out) in enumerate(self.events):
            for kind, lots in (("input", into), ("output", out)):
                found += [Move(kind, f"e{number}", lot, "p", None, quantity, AT, AT) for lot, quantity in lots.items()]
        return found

    def weights(self) -> dict[str, dict[str, float]]:
        """Which part of each lot goes into each other one."""
        found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for into, out in self.events:
            for one, quantity in into.items():
                for other, made in out.items():
                    found[one][other] += quantity * made / sum(out.values()) / self.quantities[one]
        return found


def random_kitchen(seed: int, size: int, *, loops: bool) -> Kitchen:
    """Some origins, then transformations of lots that are there; with `loops`, some also take in lots made later. At most 0.9 of a lot is used up."""
    chance = random.Random(seed)
    kitchen = Kitchen({f"l{number}": chance.uniform(10, 1000) for number in range(size)})
    left = {lot: 0.9 * quantity for lot, quantity in kitchen.quantities.items()}
    names = list(kitchen.quantities)
    next_made = max(1, size // 4)
    while next_made < size:
        made = names[next_made : next_made + chance.randint(1, 3)]
        known = names if loops and chance.random() < 0.3 else names[:next_made]
        into = {}
        for lot in chance.sample(known, min(len(known), chance.randint(1, 4))):
            into[lot] = left[lot] * chance.uniform(0.1, 0.9)
            left[lot] -= into[lot]
        kitchen.events.append((into, {lot: chance.uniform(1, 100) for lot in made}))
        next_made += len(made)
    return kitchen


def amounts_of(kitchen: Kitchen, start: str) -> dict[str, float]:
    """How much of the start is in each lot: what arrives is passed on, again and again, until nothing is left to pass on."""
    weights = kitchen.weights()
    total: dict[str, float] = defaultdict(float)
    arrived = {start: kitchen.quantities[start]}
    while arrived:
        following: dict[str, float] = defaultdict(float)
        for lot, amount in arrived.items():
            total[lot] += amount
            for other, weight in weights.get(lot, {}).items():
                following[other] += amount * weight
        arrived = {lot: amount for lot, amount in following.items() if amount > 1e-13 * kitchen.quantities[start]}
    return dict(total)


def parts_of(kitchen: Kitchen, end: str) -> dict[str, float]:
    """How much of each lot is in the end one: for every lot, what of it arrives there."""
    found = {lot: amounts_of(kitchen, lot).get(end, 0.0) for lot in kitchen.quantities}
    return {lot: amount for lot, amount in found.items() if amount}
