"""What a check of the contract is, and what can come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from shared.vocabulary import Text

if TYPE_CHECKING:
    from ops.conform.subject import Shared, Subject

Outcome = Literal["passed", "failed", "skipped"]
LONGEST_REASON = 400


class Failed(Exception):
    """The server does not keep what the check asks for; the text says how."""


class Unanswered(Failed):
    """No answer that could be judged: too late, too long, cut off, compressed."""


class Skipped(Exception):
    """Nothing to check, or no means to: the text says why."""


class Unmet(Skipped):
    """The check rests on something that failed by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One requirement: of the server as a whole, or of each of its datasets."""

    id: str
    clause: str
    """Where the requirement stands."""
    title: Text
    server: Callable[[Subject], Awaitable[None]] | None = None
    dataset: Callable[[Subject, Shared], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a check."""

    check: Check
    dataset: str | None
    outcome: Outcome
    reason: str = ""
    blocked: bool = False
    """Skipped because something that it rests on failed: such a server does not conform either."""
    requests: int = 0
    elapsed_ms: int = 0

    def as_dict(self) -> dict[str, Any]:
        told = {"check": self.check.id, "dataset": self.dataset, "title": self.check.title.as_dict(), "clause": self.check.clause, "outcome": self.outcome}
        return told | {"reason": self.reason, "blocked": self.blocked, "requests": self.requests, "elapsed_ms": self.elapsed_ms}


def plain(text: object) -> str:
    """A server's words made fit to be shown: one line, no control characters, not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * LONGEST_REASON]).split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def fail(message: object) -> NoReturn:
    raise Failed(plain(message))


def must(holds: object, otherwise: object) -> None:
    """`Failed` with the text unless it holds."""
    if not holds:
        fail(otherwise)


def table(found: object, what: str) -> dict[str, Any]:
    """A JSON object, or `Failed`."""
    if not isinstance(found, dict):
        fail(f"{what} is not a JSON object.")
    return found


def listed(found: object, what: str) -> list[Any]:
    """A JSON array, or `Failed`."""
    if not isinstance(found, list):
        fail(f"{what} is not a JSON array.")
    return found


def in_both(found: object, what: str) -> None:
    """A text in Chinese and English, or `Failed`."""
    words = table(found, what)
    must(all(isinstance(words.get(language), str) and words[language].strip() for language in ("zh", "en")), f"{what} is not given in zh and en.")
