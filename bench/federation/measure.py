"""Rounds in turn, medians, one table of ratios, and answers that must be equal."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Work = Callable[[int], Any]
"""Does the thing once with a number of its own; gives its seconds, if it knows better than the clock."""


@dataclass(slots=True)
class Table:
    """What was measured, line by line; whether all limits were kept."""

    lines: list[tuple[str, ...]] = field(default_factory=list)
    reached: bool = True

    def faster(self, name: str, peer: str, hub_s: float, peer_s: float, must: float | None) -> None:
        """The hub must be `must` times faster than the peer."""
        ratio = peer_s / hub_s
        self._line(name, peer, hub_s, peer_s, f"{ratio:.1f} x faster", f">= {must:g} x" if must else "", must is None or ratio >= must)

    def within(self, name: str, peer: str, hub_s: float, peer_s: float, must: float | None) -> None:
        """The hub may take `must` times as long as the peer."""
        ratio = hub_s / peer_s
        self._line(name, peer, hub_s, peer_s, f"{ratio:.2f} x the time", f"<= {must:g} x" if must else "", must is None or ratio <= must)

    def note(self, name: str, text: str) -> None:
        self.lines.append((name, text))

    def _line(self, name: str, peer: str, hub_s: float, peer_s: float, ratio: str, must: str, kept: bool) -> None:
        verdict = "" if not must else "yes" if kept else "NO"
        self.lines.append((name, peer, f"{hub_s * 1000:,.1f} ms", f"{peer_s * 1000:,.1f} ms", ratio, must, verdict))
        self.reached &= kept
        print(" | ".join(self.lines[-1]), flush=True)

    def __str__(self) -> str:
        head = ("question", "peer", "hub", "peer took", "ratio", "must be", "reached")
        full = [line for line in self.lines if len(line) == len(head)]
        widths = [max(len(line[place]) for line in (head, *full)) for place in range(len(head))]
        shown = ["  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip() for line in (head, *full)]
        return "\n".join([*shown, *(f"{name}: {text}" for name, text in (line for line in self.lines if len(line) == 2))])


async def in_turn(works: Mapping[str, Work], rounds: int, first: int = 0) -> dict[str, float]:
    """Median seconds of each; every round does all, in an order that turns, each time with a number not used before."""
    times: dict[str, list[float]] = {name: [] for name in works}
    names = list(works)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            found = works[name](first + number)
            found = await found if inspect.isawaitable(found) else found
            times[name].append(found if isinstance(found, float) else time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}


def require_equal(name: str, mine: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]], error: float) -> None:
    """Same groups (two columns), same values; the last within `error`, the others within rounding."""
    answered, found = ({(row[0], _seconds(row[1])): row[2:] for row in rows} for rows in (mine, theirs))
    if answered.keys() != found.keys() or len(answered) != len(mine):
        raise SystemExit(f"{name}: {len(answered)} groups instead of {len(found)}.")
    for key, values in found.items():
        for place, (one, other) in enumerate(zip(answered[key], values, strict=True)):
            allowed = error if place == len(values) - 1 else 1e-9
            if abs(one - other) > allowed * abs(other):
                raise SystemExit(f"{name}, {key}: {answered[key]} instead of {values}.")


def _seconds(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value
