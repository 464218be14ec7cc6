"""What a hub refuses or cannot do, as exceptions: what was wrong, where, and what to do about it (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from liandong.coverage import Coverage


class Problem(Exception):
    """An answer that is none. `type`, `status`, `detail` and the rest are the hub's own words."""

    def __init__(self, detail: str, *, status: int | None = None, body: Mapping[str, Any] | None = None, remedy: str = "") -> None:
        self.body = dict(body or {})
        self.detail = detail
        self.status = status
        self.type: str = str(self.body.get("type", "about:blank"))
        """Kind of the problem: `/problems/unknown-field`."""
        self.title = str(self.body.get("title", ""))
        self.pointer: str | None = self.body.get("pointer")
        """Which part of the question is meant: `/filter`, `/measures/p90/field`."""
        self.line: int | None = self.body.get("line")
        self.column: int | None = self.body.get("column")
        """Where in the SQL text, from 1."""
        self.errors: Sequence[Mapping[str, Any]] = self.body.get("errors", [])
        self.request_id: str | None = self.body.get("request_id")
        """By which the operator finds what happened."""
        self.coverage = Coverage.of(self.body["coverage"]) if isinstance(self.body.get("coverage"), dict) else None
        """Which sources failed, where the problem is that they did."""
        self.remedy = remedy
        """What to do, as the hub explains this kind of problem."""
        super().__init__(self._told())

    def _told(self) -> str:
        place = f"line {self.line}, column {self.column}" if self.line and self.column else self.pointer
        where = f" (at {place})" if place else ""
        missing = "; ".join(source.told for source in self.coverage.missing) if self.coverage else ""
        return " ".join(filter(None, (f"{self.detail}{where}", f"[{missing}]" if missing else "", self.remedy)))


class InvalidQuestion(Problem):
    """The question itself is wrong: an unknown field, a filter that cannot be read, SQL that is not allowed (400, 406, 413, 422)."""


class NotSignedIn(Problem):
    """The hub does not know who asks: wrong credentials, or a token that has ended (401)."""


class NotAllowed(Problem):
    """The token lacks a scope that this needs (403)."""


class NotThere(Problem):
    """It does not exist for this asker, whatever the reason (404)."""


class TooMany(Problem):
    """Too much at once, and waiting as the hub asked did not help (429)."""


class Unavailable(Problem):
    """The hub or its database is away, and waiting did not help (503, or nothing answers)."""


class SourcesFailed(Problem):
    """No source answered, or under `strict` not every one; `coverage` says which and why (502, 504)."""


class HubFailed(Problem):
    """Something went wrong in the hub that should not have (500)."""


class BrokenAnswer(Problem):
    """An answer ended early or is not what it should be: nothing of it may be relied on."""


_BY_STATUS: Mapping[int, type[Problem]] = {
    401: NotSignedIn,
    403: NotAllowed,
    404: NotThere,
    429: TooMany,
    502: SourcesFailed,
    503: Unavailable,
    504: SourcesFailed,
}


def problem_of(status: int, body: Mapping[str, Any], remedy: str = "") -> Problem:
    """The exception for an answer's status and body; those of the token endpoint (RFC 6749, section 5.2) among them."""
    if "error" in body and "detail" not in body:
        words = str(body.get("error_description") or body["error"])
        return (NotSignedIn if status in (400, 401) else _BY_STATUS.get(status, Problem))(words, status=status, body=body)
    kind = _BY_STATUS.get(status) or (InvalidQuestion if 400 <= status < 500 else HubFailed)
    return kind(str(body.get("detail") or body.get("title") or f"The hub answered {status}."), status=status, body=body, remedy=remedy)
