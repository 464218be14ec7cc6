"""Rules of warnings: who may approve, what follows what, whom one concerns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

State = Literal["draft", "approved", "issued", "withdrawn"]
Kind = Literal["Alert", "Update", "Cancel"]
Status = Literal["Actual", "Exercise", "Test"]
Scope = Literal["Public", "Restricted"]
Hazard = Literal[
    "hazardous-release", "fire", "explosion", "food", "air", "water", "traffic", "flood", "storm", "heat", "cold", "geology", "earthquake", "health",
    "security", "other",
]  # fmt: skip
LONGEST = timedelta(days=30)
"""How long a warning may be in force; a longer one is updated."""
RECENT = timedelta(hours=24)
"""How long an ended or replaced message stays in the feed, so that nobody misses its end."""
_LEVELS = (12, 9, 6, 4, 2)


def common_area(codes: Sequence[str]) -> str | None:
    """The finest area that holds all of these; None if there is none."""
    if len(codes) == 1:
        return codes[0]
    first = codes[0]
    return next((first[:digits] for digits in _LEVELS if len(first) >= digits and all(code.startswith(first[:digits]) for code in codes)), None)


def may_approve(subject: str, editors: Collection[str]) -> bool:
    """Only somebody who wrote no part of it."""
    return subject not in editors


def expiry_fault(expires: datetime, now: datetime) -> str | None:
    """Why a warning cannot end then, if it cannot."""
    if expires <= now:
        return "A warning ends in the future."
    return f"A warning is in force for {LONGEST.days} days at most; update it then." if expires > now + LONGEST else None


def succession_fault(kind: Kind, status: Status, previous: tuple[State, Status, Kind, bool] | None) -> str | None:
    """Why a message of a kind may not follow another (`previous`: state, status, kind, whether something has followed it), if it may not."""
    if kind == "Alert":
        return None if previous is None else "An Alert follows nothing; to change or end a warning, draft an Update or a Cancel."
    if previous is None:
        return f"{kind} needs `previous`: the warning that it is about."
    state, of_status, of_kind, followed = previous
    if state != "issued" or followed or of_kind == "Cancel":
        return "The previous message is not in force: it was not issued, or it has been replaced or cancelled."
    return None if of_status == status else f"The previous message has the status {of_status}; what follows it has the same."


def all_seen(codes: Iterable[str], prefixes: Collection[str]) -> bool:
    """Whether every area lies in the areas of a token."""
    return "*" in prefixes or all(code.startswith(tuple(prefixes)) for code in codes)
