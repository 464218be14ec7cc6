"""How much of one lot is in another: proportional mass balance over transformations, and where the books do not balance.

Rule: what goes into a transformation is spread over all that comes out, in proportion to the quantities that come out; process losses take nothing of the
origin with them (drying concentrates it), waste is an output that is disposed of. A lot is the same throughout. So of parent p, input q, the child c of the
event gets q * out(c) / sum of out, and the weight of the step is that over all of p. Amounts are in the unit of the lot that they are amounts of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from math import isnan
from typing import Literal, NamedTuple

import numpy as np

TOLERANCE = 0.01
"""How far quantities may be apart before they are said not to balance, relative: scales and moisture. A rule of this project."""
LARGEST_LOOP = 400
"""Most lots of one loop whose amounts are solved for."""
Direction = Literal["back", "forward"]


class Move(NamedTuple):
    """Movements of a lot, of one kind, event, premises and partner, summed up."""

    kind: str
    event: str
    """Of inputs and outputs; empty for others."""
    lot: str
    premises: str
    partner: str | None
    quantity: float
    """In the lot's unit."""
    first_at: datetime
    last_at: datetime


class Flow(NamedTuple):
    """What of one lot went into another in one transformation."""

    parent: str
    child: str
    event: str
    premises: str
    amount: float
    """Of the parent, in its unit."""
    at: datetime


class Spread(NamedTuple):
    """How much there is in each lot; None where it cannot be known. And the lots that are part of themselves, loop by loop."""

    amounts: dict[str, float | None]
    loops: list[list[str]]


class Fault(NamedTuple):
    """Where the books do not balance, or a link is missing."""

    code: str
    lot: str | None
    premises: str | None = None
    event: str | None = None
    expected: float | None = None
    found: float | None = None


def flows_of(moves: Iterable[Move], units: Mapping[str, str]) -> tuple[list[Flow], list[Fault]]:
    """The steps from inputs to outputs. An event whose outputs are in different units cannot be shared out: its steps have no amount of their own."""
    inputs: dict[str, list[Move]] = defaultdict(list)
    outputs: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        kind, event, *_ = move
        if kind == "input":
            inputs[event].append(move)
        elif kind == "output":
            outputs[event].append(move)
    flows: list[Flow] = []
    faults: list[Fault] = []
    for event in sorted({*inputs, *outputs}):
        into, out = inputs.get(event, []), outputs.get(event, [])
        whole, made_in = sum([move.quantity for move in out]), {units.get(move.lot) for move in out}
        faults += _event_faults(event, into, out, whole, made_in, units)
        shares = [(made.lot, made.premises, float("nan") if len(made_in) > 1 else made.quantity / whole, made.last_at) for made in out]
        for _, _, source, _, _, quantity, _, _ in into:
            flows += [Flow(source, lot, event, premises, quantity * share, at) for lot, premises, share, at in shares]
    return flows, faults


def _event_faults(event: str, into: Sequence[Move], out: Sequence[Move], come: float, kinds: Set[str | None], units: Mapping[str, str]) -> list[Fault]:
    if not into or not out:
        return [Fault("no-inputs" if out else "no-outputs", (out or into)[0].lot, (out or into)[0].premises, event)]
    if len(kinds) > 1:
        return [Fault("outputs-in-different-units", out[0].lot, out[0].premises, event)]
    gone = sum([move.quantity for move in into])
    if come > gone * (1 + TOLERANCE) and kinds == {units.get(move.lot) for move in into}:
        return [Fault("more-out-than-in", out[0].lot, out[0].premises, event, gone, come)]
    return []


def whole_of(quantities: Mapping[str, float], flows: Iterable[Flow], moves: Iterable[Move]) -> dict[str, float]:
    """How much there is of each lot: what was made, or, if more left it, that; so never more than all of a lot goes on."""
    left: dict[str, float] = defaultdict(float)
    for kind, _, lot, _, _, quantity, _, _ in moves:
        if kind in ("input", "sell", "dispose"):
            left[lot] += quantity
    return {lot: max(quantity, left[lot]) for lot, quantity in quantities.items()}


def spread(start: str, initial: float, flows: Iterable[Flow], whole: Mapping[str, float], direction: Direction) -> Spread:
    """Forward: how much of the start lot's `initial` is in each lot made from it. Back: with 1, which part of each lot went into the start lot.

    Loops (a lot that is part of itself) are solved as a system, so that what goes round is counted each time it passes; None where nothing leaves a loop
    and where an amount cannot be known.
    """
    steps: dict[str, dict[str, float]] = defaultdict(dict)
    for parent, child, _, _, amount, _ in flows:
        if parent in whole:
            there = steps[parent if direction == "forward" else child]
            other = child if direction == "forward" else parent
            there[other] = there.get(other, 0.0) + amount / whole[parent]
    found: dict[str, float] = defaultdict(float, {start: initial})
    loops = []
    for loop in _without_loops(start, steps) or reversed(_components(start, steps)):
        if len(loop) > 1 or loop[0] in steps.get(loop[0], ()):
            _solve(loop, steps, found)
            loops.append(sorted(loop))
        inside = set(loop) if len(loop) > 1 else loop
        for one in loop:
            here = found[one]
            for other, weight in steps.get(one, {}).items():
                if other not in inside:
                    found[other] += here * weight
    return Spread({lot: None if isnan(amount) else amount for lot, amount in found.items()}, loops)


def _without_loops(start: str, steps: Mapping[str, Mapping[str, float]]) -> list[list[str]] | None:
    """What the start reaches, each after all that leads to it (Kahn 1962), in the form of `_components`; None if some of it is part of itself."""
    reached, waits = [start], {start: 0}
    for one in reached:
        for other in steps.get(one, ()):
            if other in waits:
                waits[other] += 1
            else:
                waits[other] = 1
                reached.append(other)
    ready = [start] if not waits[start] else []
    for one in ready:
        for other in steps.get(one, ()):
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return [[one] for one in ready] if len(ready) == len(reached) else None


def _solve(loop: Sequence[str], steps: Mapping[str, Mapping[str, float]], found: dict[str, float]) -> None:
    """Amounts within a loop: x = arrived + W x."""
    place = {lot: index for index, lot in enumerate(loop)}
    solution = np.full(len(loop), np.nan)
    if len(loop) <= LARGEST_LOOP:
        system = np.eye(len(loop))
        for one in loop:
            for other, weight in steps[one].items():
                if other in place:
                    system[place[other], place[one]] -= weight
        arrived = np.array([found[lot] for lot in loop])
        if np.isfinite(system).all() and np.linalg.cond(system) < 1e12:
            solution = np.linalg.solve(system, arrived)
    found.update(zip(loop, solution.tolist(), strict=True))


def _components(start: str, steps: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Strongly connected components that the start reaches, each after all that it leads to (Tarjan 1972, without recursion)."""
    order: dict[str, int] = {start: 0}
    low = {start: 0}
    stack, on_stack, found = [start], {start}, []
    work = [(start, iter(steps.get(start, ())))]
    while work:
        node, following = work[-1]
        for other in following:
            if other not in order:
                order[other] = low[other] = len(order)
                stack.append(other)
                on_stack.add(other)
                work.append((other, iter(steps.get(other, ()))))
                break
            if other in on_stack:
                low[node] = min(low[node], order[other])
        else:
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == order[node]:
                at = stack.index(node) if stack[-1] != node else len(stack) - 1
                component = stack[at:]
                del stack[at:]
                on_stack.difference_update(component)
                found.append(component)
    return found


def link_faults(moves: Iterable[Move], makers: Mapping[str, str], made: Mapping[str, float]) -> list[Fault]:
    """Deliveries that only one side tells of or tells otherwise, and premises that more left than came to."""
    sent: dict[tuple[str, str, str], float] = defaultdict(float)
    got: dict[tuple[str, str, str], float] = defaultdict(float)
    came: dict[tuple[str, str], float] = defaultdict(float)
    left: dict[tuple[str, str], float] = defaultdict(float)
    for kind, _, lot, place, partner, quantity, _, _ in moves:
        here = lot, place
        if kind == "receive":
            got[lot, partner or "", place] += quantity
            came[here] += quantity
        elif kind == "output":
            came[here] += quantity
        else:
            left[here] += quantity
            if kind == "ship":
                sent[lot, place, partner or ""] += quantity
    unlike = sorted(link for link in {*sent, *got} if not abs((shipped := sent.get(link, 0.0)) - got.get(link, 0.0)) <= TOLERANCE * shipped)
    faults = [_delivery_fault(*link, sent.get(link, 0.0), got.get(link, 0.0)) for link in unlike]
    over = []
    for here, gone in left.items():
        lot, place = here
        there = max(came.get(here, 0.0), made.get(lot, 0.0) if makers.get(lot) == place else 0.0)
        if gone > there * (1 + TOLERANCE):
            over.append(Fault("more-left-than-came", lot, place, None, there, gone))
    return faults + sorted(over, key=lambda fault: (fault.lot, fault.premises))


def _delivery_fault(lot: str, sender: str, receiver: str, shipped: float, received: float) -> Fault:
    if not shipped:
        return Fault("received-not-shipped", lot, receiver, None, shipped, received)
    if not received:
        return Fault("shipped-not-received", lot, sender, None, shipped, received)
    return Fault("shipped-and-received-differ", lot, receiver, None, shipped, received)
