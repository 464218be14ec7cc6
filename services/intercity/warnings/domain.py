"""Whose warnings are believed: an issuer is trusted for a peer's key, a sender, kinds of event and areas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ANY = "*"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a sender is trusted for."""

    sender: str
    events: Sequence[str]
    """Texts of CAP `event` or values of its codes; `*` for all."""
    areas: Sequence[str]
    """Area code prefixes; `*` for all."""


def mistrusted(trust: Trust | None, events: Iterable[Sequence[str]], areas: Sequence[str], *, coded: bool = True) -> str | None:
    """Why a warning is not believed, or None if it is. `events` has the names of each info's event; any of them may be the trusted one.

    `coded` says that every place it names has a code, which is among `areas`.
    """
    if trust is None:
        return "its sender is not trusted here"
    for names in events:
        if ANY not in trust.events and not set(names) & set(trust.events):
            return f"its sender is not trusted for {', '.join(names)[:100]}"
    if ANY in trust.areas:
        return None
    if not areas or not coded:
        return "it does not name every area by code, and its sender is trusted for some areas only"
    beyond = [area for area in areas if not area.startswith(tuple(trust.areas))]
    return f"its sender is not trusted for the area {beyond[0][:20]}" if beyond else None


def common_prefix(codes: Sequence[str]) -> str | None:
    """The finest area that holds all of these: levels are 2, 4, 6, 9 and 12 digits long."""
    if not codes:
        return None
    shortest = min(codes, key=len)
    for digits in (12, 9, 6, 4, 2):
        if len(shortest) >= digits and all(code.startswith(shortest[:digits]) for code in codes):
            return shortest[:digits]
    return None
