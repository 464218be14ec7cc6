"""Makes a trace out of a graph: amounts, faults, and only what the caller may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Any

from services.food.tracing.domain import Direction, Fault, Flow, Move, flows_of, link_faults, spread, whole_of
from services.food.tracing.reading import Asker, Graph, Uncollected, read_graph
from services.food.tracing.schemas import EXPLANATIONS
from shared.caller import Caller
from shared.errors import NotFound

LISTED = 1_000
"""Most faults that an answer names; all are counted."""


@dataclass(slots=True)
class Balance:
    """The amounts of a graph."""

    graph: Graph
    flows: list[Flow]
    faults: list[Fault]
    whole: dict[str, float]
    amounts: dict[Direction, dict[str, float | None]]


def balance(graph: Graph, start: str) -> Balance:
    """How much of the start is in every lot, and of every lot in the start."""
    units = {lot: row.unit for lot, row in graph.lots.items()}
    inside = {lot for depths in graph.depths.values() for lot in depths}
    flows, faults = flows_of(graph.moves, units)
    quantities = {lot: row.quantity for lot, row in graph.lots.items()}
    whole = whole_of(quantities, flows, graph.moves)
    amounts: dict[Direction, dict[str, float | None]] = {}
    for direction, depths in graph.depths.items():
        within = [flow for flow in flows if flow[0] in depths and flow[1] in depths]
        found, loops = spread(start, quantities[start] if direction == "forward" else 1.0, within, whole, direction)
        if direction == "back":
            found = {lot: None if part is None else part * whole[lot] for lot, part in found.items()}
        amounts[direction] = found
        faults += [Fault("loop", loop[0]) for loop in loops]
    faults = list(dict.fromkeys(faults))
    known = [flow for flow in flows if flow[0] in inside and flow[1] in inside]
    faults += link_faults([move for move in graph.moves if move[2] in inside], {lot: row.premises for lot, row in graph.lots.items()}, quantities)
    return Balance(graph, known, faults, whole, amounts)


async def trace(
    asker: Asker, lot: str, directions: Collection[Direction], caller: Caller, *, max_depth: int, limit: int, known_at: datetime | None = None
) -> dict[str, Any]:
    """The trace of a lot for this caller. Raises `NotFound` if there is no such lot, or none that the caller may see."""
    with Uncollected():
        graph = await read_graph(asker, [lot], directions, max_depth=max_depth, limit=limit, known_at=known_at)
        if lot not in graph.lots or lot not in (seen := seen_lots(graph, caller)):
            raise NotFound(f"There is no lot {lot[:100]!r}.")
        return _told(balance(graph, lot), lot, seen, caller)


def seen_lots(graph: Graph, caller: Caller) -> set[str]:
    """Lots that were made in the caller's areas or passed through them."""
    places = _seen_places(graph, caller)
    inside = {lot for depths in graph.depths.values() for lot in depths}
    made = {lot for lot in inside if lot in graph.lots and graph.lots[lot].premises in places}
    return made | {move.lot for move in graph.moves if move.lot in inside and move.premises in places}


def _seen_places(graph: Graph, caller: Caller) -> set[str]:
    return {place for place, row in graph.premises.items() if caller.sees_area(row.area)}


def _told(balanced: Balance, start: str, seen: set[str], caller: Caller) -> dict[str, Any]:
    graph = balanced.graph
    places = _seen_places(graph, caller)
    shown = sorted(
        (depth, direction, lot) for direction, depths in graph.depths.items() for lot, depth in depths.items() if lot in seen and (depth or lot == start)
    )
    parents, children = {flow.child for flow in balanced.flows}, {flow.parent for flow in balanced.flows}
    ends = {"back": parents, "forward": children}
    lots = {(lot, direction): _lot(balanced, lot, direction, depth, start, places, lot not in ends[direction]) for depth, direction, lot in shown}
    if (start, "back") in lots and (start, "forward") in lots:
        del lots[start, "back"]
    moves = [move for move in graph.moves if not move[1] and move[2] in seen and move[3] in places]
    faults = [each for each in balanced.faults if (each.lot is None or each.lot in seen) and (each.premises is None or each.premises in places)]
    inside = {lot for depths in graph.depths.values() for lot in depths if lot in graph.lots}
    touched = {graph.lots[lot].premises for lot in inside} | {
        place for move in graph.moves if move.lot in inside for place in (move.premises, move.partner) if place
    }
    return {
        "lots": list(lots.values()),
        "edges": [_edge(flow, places) for flow in balanced.flows if flow.parent in seen and flow.child in seen],
        "movements": _movements(balanced, moves, places),
        "premises": [_place(graph.premises[place]) for place in sorted(touched & places)],
        "faults": [each._asdict() for each in faults[:LISTED]],
        "unlisted_faults": max(0, len(faults) - LISTED),
        "explanations": {code: dict(zip(("zh", "en"), EXPLANATIONS[code], strict=True)) for code in sorted({each.code for each in faults})},
        "truncated": graph.truncated,
        "unit": graph.lots[start].unit,
        "beyond_scope": {"lots": len(inside - seen), "premises": len(touched - places)},
    }


def _lot(balanced: Balance, lot: str, direction: Direction, depth: int, start: str, places: set[str], end: bool) -> dict[str, Any]:
    row = balanced.graph.lots[lot]
    return {
        "id": lot,
        "product": row.product,
        "name": row.name,
        "made_on": row.made_on,
        "expires_on": row.expires_on,
        "quantity": row.quantity,
        "unit": row.unit,
        "premises": row.premises if row.premises in places else None,
        "direction": "start" if lot == start else direction,
        "depth": depth,
        "amount": balanced.amounts[direction].get(lot),
        "end": end,
    }


def _edge(flow: Flow, places: set[str]) -> dict[str, Any]:
    parent, child, event, place, amount, at = flow
    return {"from": parent, "to": child, "event": event, "premises": place if place in places else None, "amount": None if isnan(amount) else amount, "at": at}


def _movements(balanced: Balance, moves: Iterable[Move], places: set[str]) -> list[dict[str, Any]]:
    """Where the lots went. What is gone from a lot has its part of the start in proportion."""
    whole, amounts = balanced.whole, balanced.amounts.get("forward", {})
    parts = {lot: amount / whole[lot] for lot, amount in amounts.items() if amount is not None and lot in whole}
    return [
        {
            "kind": kind,
            "lot": lot,
            "premises": place,
            "partner": partner if partner in places else None,
            "quantity": quantity,
            "amount": None if (part := parts.get(lot)) is None else part * quantity,
            "first_at": first_at,
            "last_at": last_at,
        }
        for kind, _, lot, place, partner, quantity, first_at, last_at in moves
    ]


def _place(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("id", "name", "kind", "area", "lon", "lat")}
