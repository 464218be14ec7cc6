"""Coverage: which sources an answer rests on, how fresh they are, and within which rights it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from shared.caller import Caller

Status = Literal["ok", "stale", "timeout", "error", "denied", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAnswer:
    """What one source contributed, or why it did not."""

    source: str
    """Name of the service: `430300/fire`."""
    dataset: str
    status: Status
    rows: int | None = None
    """How many rows the answer rests on."""
    as_of: datetime | None = None
    """The moment whose data the answer shows."""
    elapsed_ms: int | None = None
    served_from: str | None = None
    """`rows`, or the roll-up that gave the same answer: `rollup:hourly`."""
    origin: str | None = None
    """Of a peer's rows the city that they come from,"""
    agreement: str | None = None
    """and the agreement under which they came."""
    problem: Mapping[str, Any] | None = None
    """RFC 9457 problem of a source that did not answer."""

    def as_dict(self) -> dict[str, Any]:
        """The entry as others see it; what does not apply is left out."""
        optional = {
            "rows": self.rows,
            "as_of": moment(self.as_of),
            "elapsed_ms": self.elapsed_ms,
            "served_from": self.served_from,
            "origin": self.origin,
            "agreement": self.agreement,
            "problem": dict(self.problem) if self.problem is not None else None,
        }
        return {"source": self.source, "dataset": self.dataset, "status": self.status} | {k: v for k, v in optional.items() if v is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The rights within which an answer was given, derived from the token alone."""

    areas: tuple[str, ...]
    grade: str
    personal: str

    @classmethod
    def of(cls, caller: Caller) -> Self:
        return cls(areas=caller.areas, grade=caller.clearance.grade.value, personal=caller.clearance.personal.value)

    def as_dict(self) -> dict[str, Any]:
        return {"areas": list(self.areas), "clearance": {"grade": self.grade, "personal": self.personal}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What an answer covers."""

    scope: Scope
    sources: tuple[SourceAnswer, ...]
    limited: bool = False
    """Whether the token is narrower than the datasets; never derived from data."""
    suppressed: int = 0
    """Small groups that were left out."""

    @property
    def complete(self) -> bool:
        """Whether every source that could hold an answer within the scope gave a fresh one."""
        return bool(self.sources) and all(source.status == "ok" for source in self.sources)

    @property
    def as_of(self) -> datetime | None:
        """The oldest moment among the sources that answered."""
        return min((source.as_of for source in self.sources if source.as_of and source.status in ("ok", "stale")), default=None)

    def as_dict(self) -> dict[str, Any]:
        """The coverage as others see it (contract, "Coverage")."""
        described: dict[str, Any] = {"complete": self.complete, "as_of": moment(self.as_of), "scope": self.scope.as_dict()}
        described |= {"limited": True} if self.limited else {}
        described |= {"suppressed": self.suppressed} if self.suppressed else {}
        return described | {"sources": [source.as_dict() for source in self.sources]}


def moment(time: datetime | None) -> str | None:
    """A moment in UTC with `Z`, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None
