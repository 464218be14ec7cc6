"""How much of one lot is in another: proportional mass balance over transformations, and where the books do not balance.

Rule: what goes into a transformation is spread over all that comes out, in proportion to the quantities that come out; process losses take nothing of the
origin with them (drying concentrates it), waste is an output that is disposed of. A lot is the same throughout. So of parent p, input q, the child c of the
event gets q * out(c) / sum of out, and the weight of the step is that over all of p. Amounts are in the unit of the lot that they are amounts of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
        if move.kind == "input":
            inputs[move.event].append(move)
        elif move.kind == "output":
            outputs[move.event].append(move)
    flows: list[Flow] = []
    faults: list[Fault] = []
    for event in sorted({*inputs, *outputs}):
        into, out = inputs.get(event, []), outputs.get(event, [])
        faults += _event_faults(event, into, out, units)
        whole = sum(move.quantity for move in out)
        mixed = len({units.get(move.lot) for move in out}) > 1
        for source in into:
            for made in out:
                share = float("nan") if mixed else made.quantity / whole
                flows.append(Flow(source.lot, made.lot, event, made.premises, source.quantity * share, made.last_at))
    return flows, faults


def _event_faults(event: str, into: Sequence[Move], out: Sequence[Move], units: Mapping[str, str]) -> Iterable[Fault]:
    if not into or not out:
        yield Fault("no-inputs" if out else "no-outputs", (out or into)[0].lot, (out or into)[0].premises, event)
        return
    kinds = {units.get(move.lot) for move in out}
    if len(kinds) > 1:
        yield Fault("outputs-in-different-units", out[0].lot, out[0].premises, event)
    elif kinds == {units.get(move.lot) for move in into}:
        gone, come = sum(move.quantity for move in into), sum(move.quantity for move in out)
        if come > gone * (1 + TOLERANCE):
            yield Fault("more-out-than-in", out[0].lot, out[0].premises, event, gone, come)


def whole_of(quantities: Mapping[str, float], flows: Iterable[Flow], moves: Iterable[Move]) -> dict[str, float]:
    """How much there is of each lot: what was made, or, if more left it, that; so never more than all of a lot goes on."""
    left: dict[str, float] = defaultdict(float)
    for move in moves:
        if move.kind in ("input", "sell", "dispose"):
            left[move.lot] += move.quantity
    return {lot: max(quantity, left[lot]) for lot, quantity in quantities.items()}


def spread(start: str, initial: float, flows: Iterable[Flow], whole: Mapping[str, float], direction: Direction) -> Spread:
    """Forward: how much of the start lot's `initial` is in each lot made from it. Back: with 1, which part of each lot went into the start lot.

    Loops (a lot that is part of itself) are solved as a system, so that what goes round is counted each time it passes; None where nothing leaves a loop
    and where an amount cannot be known.
    """
    steps: dict[str, dict[str, float]] = defaultdict(dict)
    for flow in flows:
        one, other = (flow.parent, flow.child) if direction == "forward" else (flow.child, flow.parent)
        if flow.parent in whole:
            steps[one][other] = steps[one].get(other, 0.0) + flow.amount / whole[flow.parent]
    found: dict[str, float] = defaultdict(float, {start: initial})
    loops = []
    for loop in reversed(_components(start, steps)):
        if len(loop) > 1 or loop[0] in steps[loop[0]]:
            _solve(loop, steps, found)
            loops.append(sorted(loop))
        for one in loop:
            inside = set(loop) if len(loop) > 1 else {one}
            for other, weight in steps[one].items():
                if other not in inside:
                    found[other] += found[one] * weight
    return Spread({lot: None if isnan(amount) else amount for lot, amount in found.items()}, loops)


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
    for move in moves:
        if move.kind == "ship":
            sent[move.lot, move.premises, move.partner or ""] += move.quantity
        elif move.kind == "receive":
            got[move.lot, move.partner or "", move.premises] += move.quantity
        (came if move.kind in ("receive", "output") else left)[move.lot, move.premises] += move.quantity
    faults = [fault for link in sorted({*sent, *got}) if (fault := _delivery_fault(*link, sent.get(link, 0.0), got.get(link, 0.0)))]
    for (lot, place), gone in sorted(left.items()):
        there = max(came.get((lot, place), 0.0), made.get(lot, 0.0) if makers.get(lot) == place else 0.0)
        if gone > there * (1 + TOLERANCE):
            faults.append(Fault("more-left-than-came", lot, place, None, there, gone))
    return faults


def _delivery_fault(lot: str, sender: str, receiver: str, shipped: float, received: float) -> Fault | None:
    if not shipped:
        return Fault("received-not-shipped", lot, receiver, None, shipped, received)
    if not received:
        return Fault("shipped-not-received", lot, sender, None, shipped, received)
    differ = abs(shipped - received) > TOLERANCE * shipped
    return Fault("shipped-and-received-differ", lot, receiver, None, shipped, received) if differ else None
