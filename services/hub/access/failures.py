"""A bound on wrong client secrets: after a few in a minute the rest is turned away unanswered.

The right secret always passes, since 256 random bits cannot be guessed and nobody must be able to shut a client out by failing in its name.
"""

from __future__ import annotations

from collections import OrderedDict, deque

ALLOWED = 10
WINDOW_S = 60.0
_MOST_NAMES = 10_000


class Failures:
    """Counts failures by client over a sliding minute, in bounded memory."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, name: str, now: float) -> int | None:
        """Note one more failure; how long to wait if there were too many, in whole seconds."""
        times = self._seen.setdefault(name[:64], deque(maxlen=ALLOWED))
        self._seen.move_to_end(name[:64])
        if len(self._seen) > _MOST_NAMES:
            self._seen.popitem(last=False)
        if len(times) == ALLOWED and now - times[0] < WINDOW_S:
            return max(1, round(WINDOW_S - (now - times[0])))
        times.append(now)
        return None
