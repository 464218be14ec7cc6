"""How a question travels from service to service: the time it has left and whom it has passed."""

from __future__ import annotations

import time
from dataclasses import dataclass

from fastapi import Request

from shared.errors import InvalidRequest, Problem
from shared.vocabulary import Text

DEADLINE_HEADER = "Liandong-Deadline-Ms"
"""Milliseconds that the caller will wait for the answer."""
MAX_HOPS = 8
"""Six levels of administration and one to spare each way."""
_RESERVE_S = 0.2
"""Most time kept back for merging and sending what has come."""


class LoopDetected(Problem):
    slug, status = "loop-detected", 508
    title = Text("请求成环", "Loop detected")
    remedy = Text("检查枢纽之间登记的来源，去除环路。", "Check which hubs are registered as each other's sources and cut the loop.")


@dataclass(frozen=True, slots=True)
class Passage:
    """The journey of one question so far."""

    ends: float
    """When the answer must have left, on the clock of `time.monotonic`."""
    via: tuple[str, ...] = ()
    """Pseudonyms of the services passed (RFC 9110, section 7.6.3), this one included."""

    @property
    def remaining_s(self) -> float:
        return max(0.0, self.ends - time.monotonic())

    def onward(self) -> Passage:
        """The same journey with a little time kept back for what must happen here afterwards."""
        return Passage(self.ends - min(_RESERVE_S, self.remaining_s * 0.1), self.via)

    def within(self, limit_s: float) -> Passage:
        """The same journey with no more time than this."""
        return Passage(min(self.ends, time.monotonic() + limit_s), self.via)

    def headers(self) -> dict[str, str]:
        """What the next service is told."""
        return {DEADLINE_HEADER: str(max(1, int(self.remaining_s * 1000))), "Via": ", ".join(f"1.1 {name}" for name in self.via)}


def arriving(request: Request, service: str, *, wanted_s: float, most_s: float) -> Passage:
    """The journey of a request that arrives at `service` (`430300/hub`).

    Its time is what the client wants, at most `most_s`, and never more than what the caller has left.
    Raises `LoopDetected` if the question has been here before or has passed too many services.
    """
    limit_s = min(wanted_s, most_s)
    if (sent := request.headers.get(DEADLINE_HEADER)) is not None:
        if not (sent.isascii() and sent.isdigit() and 0 < len(sent) < 10):
            raise InvalidRequest(f"{DEADLINE_HEADER} is a number of milliseconds.", pointer=f"/{DEADLINE_HEADER}")
        limit_s = min(limit_s, int(sent) / 1000)
    me = pseudonym(service)
    passed = tuple(part.split()[-1] for part in request.headers.get("via", "").split(",") if part.strip())
    if me in passed:
        raise LoopDetected(f"The question has passed {service} before: {' → '.join(passed)}.")
    if len(passed) >= MAX_HOPS:
        raise LoopDetected(f"The question has passed {len(passed)} services; at most {MAX_HOPS} are allowed.")
    return Passage(time.monotonic() + limit_s, (*passed, me))


def starting(service: str, limit_s: float) -> Passage:
    """The journey of a question that this service asks of its own accord."""
    return Passage(time.monotonic() + limit_s, (pseudonym(service),))


def pseudonym(service: str) -> str:
    """A service's name as `Via` may carry it: `430300.hub`."""
    return service.replace("/", ".")
