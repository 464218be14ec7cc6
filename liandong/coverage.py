"""Which sources an answer rests on, how fresh they are, and what is missing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


class IncompleteAnswer(UserWarning):
    """Some source that could hold part of the answer gave none, or an old one; or there are more rows than were answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one source contributed, or why it did not."""

    source: str
    """`430300/fire`."""
    dataset: str
    status: str
    """`ok`, `stale`, `timeout`, `error`, `denied`, `skipped`."""
    rows: int | None = None
    as_of: datetime | None = None
    """The moment whose data it shows."""
    elapsed_ms: int | None = None
    served_from: str | None = None
    """`rows`, or a roll-up that gave the same answer."""
    origin: str | None = None
    """Of a peer's rows the city that they come from,"""
    agreement: str | None = None
    """and the agreement under which they came."""
    problem: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        named = {name: found.get(name) for name in ("rows", "elapsed_ms", "served_from", "origin", "agreement")}
        problem = found.get("problem") or {}
        return cls(source=str(found["source"]), dataset=str(found["dataset"]), status=str(found["status"]), as_of=_moment(found), problem=problem, **named)

    @property
    def told(self) -> str:
        """One line for people."""
        why = self.problem.get("detail") or self.problem.get("title") or ""
        since = f" as of {self.as_of:%Y-%m-%d %H:%M:%S %Z}" if self.status == "stale" and self.as_of else ""
        return f"{self.source} ({self.dataset}): {self.status}{since}" + (f", {why}" if why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What an answer covers, within the rights of the asker."""

    complete: bool
    """Every source that could hold part of the answer gave a fresh one."""
    as_of: datetime | None
    """The oldest moment among the sources that answered."""
    sources: tuple[Source, ...]
    scope: Mapping[str, Any] = field(default_factory=dict)
    limited: bool = False
    """The token is narrower than the datasets."""
    suppressed: int = 0
    """Small groups that were left out to protect persons."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        return cls(
            complete=bool(found.get("complete")),
            as_of=_moment(found),
            sources=tuple(Source.of(source) for source in found.get("sources", ())),
            scope=found.get("scope") or {},
            limited=bool(found.get("limited")),
            suppressed=int(found.get("suppressed", 0)),
        )

    @classmethod
    def together(cls, parts: Iterable[Coverage]) -> Coverage:
        """The coverage of several pages of one answer: rows added up, the worst status of each source."""
        every = list(parts)
        if len(every) == 1:
            return every[0]
        found: dict[tuple[str, str], Source] = {}
        for source in (source for part in every for source in part.sources):
            found[source.source, source.dataset] = _added(found.get((source.source, source.dataset)), source)
        moments = [part.as_of for part in every if part.as_of]
        return Coverage(
            complete=all(part.complete for part in every) and bool(every),
            as_of=min(moments, default=None),
            sources=tuple(found.values()),
            scope=every[0].scope if every else {},
            limited=any(part.limited for part in every),
            suppressed=sum(part.suppressed for part in every),
        )

    @property
    def missing(self) -> tuple[Source, ...]:
        """The sources that gave no answer, or an old one."""
        return tuple(source for source in self.sources if source.status != "ok")

    def warn(self) -> None:
        """Say so if something is missing."""
        if not self.complete:
            warn(str(self))

    def __str__(self) -> str:
        answered = f"{len(self.sources) - len(self.missing)} of {len(self.sources)} sources"
        told = [f"complete: {answered}" if self.complete else f"INCOMPLETE: {answered}"]
        told += [f"as of {self.as_of:%Y-%m-%d %H:%M:%S %Z}"] if self.as_of else []
        told += [f"missing {source.told}" for source in self.missing]
        told += ["limited to what your token may see"] if self.limited else []
        told += [f"{self.suppressed} small groups left out"] if self.suppressed else []
        return "; ".join(told)

    def __repr__(self) -> str:
        return f"<Coverage {self}>"


def warn(told: str) -> None:
    """Warn at the line of whoever asked."""
    warnings.warn(told, IncompleteAnswer, stacklevel=_outside())


def _added(known: Source | None, more: Source) -> Source:
    if known is None:
        return more
    worse = more if more.status != "ok" else known
    rows = [source.rows for source in (known, more) if source.rows is not None]
    return Source(
        source=more.source,
        dataset=more.dataset,
        status=worse.status,
        rows=sum(rows) if rows else None,
        as_of=min((source.as_of for source in (known, more) if source.as_of), default=None),
        elapsed_ms=(known.elapsed_ms or 0) + (more.elapsed_ms or 0),
        served_from=more.served_from or known.served_from,
        origin=more.origin,
        agreement=more.agreement or known.agreement,
        problem=worse.problem,
    )


def _moment(found: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(found["as_of"]) if found.get("as_of") else None


def _outside() -> int:
    """How many calls up the asker's own code is, so that the warning names their line."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("liandong"):
        depth, frame = depth + 1, frame.f_back
    return depth
