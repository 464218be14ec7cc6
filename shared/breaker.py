"""A circuit breaker: a source that keeps failing is left alone for a while, then tried with one call."""

from __future__ import annotations

from typing import Literal

FAILURES = 5
"""Failures in a row that open the circuit."""
PAUSE_S = 5.0
"""How long an open circuit stays so before one call is let through."""
PROBE_S = 30.0
"""After so long a trial call that never reported back is forgotten."""

State = Literal["closed", "open", "half-open"]


class Breaker:
    """State of one source's circuit; times are seconds of any steady clock, given by the caller."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until: float | None = None
        self._probe_since: float | None = None

    def state(self, now: float) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a call may be made; when half open, one at a time, which ends in one of the three below."""
        if self._open_until is None:
            return True
        if now < self._open_until or (self._probe_since is not None and now < self._probe_since + PROBE_S):
            return False
        self._probe_since = now
        return True

    def insisted(self, now: float) -> None:
        """A call is made whatever the state: one that comes seldom and asks little, to notice that the source is back."""
        self._probe_since = now

    def succeeded(self) -> None:
        self._failures, self._open_until, self._probe_since = 0, None, None

    def failed(self, now: float) -> None:
        self._failures += 1
        self._probe_since = None
        if self._failures >= FAILURES or self._open_until is not None:
            self._open_until = now + PAUSE_S

    def abandoned(self) -> None:
        """A call ended, perhaps without telling anything about the source: another may be tried."""
        self._probe_since = None
