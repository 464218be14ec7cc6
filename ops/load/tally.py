"""What became of every row of a file, in numbers that add up, with the reasons of what was rejected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.load.rows import Batch

EXAMPLES = 3
"""Rows shown for each reason, the first ones of the file."""
FILE, SERVICE = "file", "service"
UNLISTED = "not listed"
"""The service counts every rejected row and lists the first of each batch."""
OUTCOMES = ("taken", "corrected", "duplicates", "rejected")


@dataclass(slots=True)
class Reason:
    """Rows rejected for the same cause."""

    rows: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, rows: int, unit: str, number: int, column: str, detail: str) -> None:
        """Line or record 0 is a row of the mapping's own."""
        self.rows += rows
        self.examples.append({unit: number, **({"column": column} if column else {}), "detail": detail})
        self.examples.sort(key=lambda example: example[unit])
        del self.examples[EXAMPLES:]

    def merge(self, other: Reason, file: str) -> None:
        """Add another file's rows; its examples then say which file."""
        self.rows += other.rows
        self.examples = [*self.examples, *({"file": file, **example} for example in other.examples)][:EXAMPLES]


@dataclass(slots=True)
class Tally:
    """One file's account: lines * values of a line + added = empty + rows, and rows = taken + corrected + duplicates + rejected."""

    name: str
    unit: str = "line"
    """What rows are numbered by: `line` or `record`."""
    values_per_line: int = 1
    lines: int = 0
    """Lines that are rows of the file, readable or not; the header and blank ones are not."""
    blank: int = 0
    added: int = 0
    """Rows that the mapping adds."""
    empty: int = 0
    """Cells of a wide file without a value."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    reasons: dict[tuple[str, str], Reason] = field(default_factory=dict)
    """By where a row was rejected, here (`file`) or by the service, and the code of the cause."""

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    @property
    def unsent(self) -> int:
        """Rows that a load which was stopped did not come to, or does not know the fate of."""
        return self.lines * self.values_per_line + self.added - self.empty - self.rows

    def mapped(self, batch: Batch) -> None:
        """Count what the mapping made of a chunk."""
        self.lines += batch.chunk_lines
        self.blank += batch.blank
        self.empty += batch.empty
        for fault, rows in batch.rejected:
            self.counts["rejected"] += rows
            self._reason(FILE, fault.code).add(rows, self.unit, fault.line, "", fault.detail)

    def answered(self, answer: Mapping[str, Any], batch: Batch, added: int) -> None:
        """Count what the service made of a batch whose first `added` rows are the mapping's own."""
        self.added += added
        for outcome in OUTCOMES:
            self.counts[outcome] += answer[outcome]
        for error in answer["errors"]:
            place = error["row"] - added
            line = int(batch.lines[place]) if place >= 0 else 0
            column = batch.sources[place] if place >= 0 and batch.sources else ""
            self._reason(SERVICE, error["code"]).add(1, self.unit, line, column, error["detail"])
        if answer["unlisted_errors"]:
            self._reason(SERVICE, UNLISTED).rows += answer["unlisted_errors"]

    def merge(self, other: Tally) -> None:
        """Add another file's account to this one."""
        for name in ("lines", "blank", "added", "empty"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for outcome in OUTCOMES:
            self.counts[outcome] += other.counts[outcome]
        for (where, code), reason in other.reasons.items():
            self._reason(where, code).merge(reason, other.name)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "lines": self.lines,
            "values_per_line": self.values_per_line,
            "blank_lines": self.blank,
            "added": self.added,
            "empty": self.empty,
            "rows": self.rows,
            **self.counts,
            "unsent": self.unsent,
            "reasons": [{"where": where, "code": code, "rows": reason.rows, "examples": reason.examples} for where, code, reason in self.by_rows],
        }

    @property
    def by_rows(self) -> list[tuple[str, str, Reason]]:
        """Where, code, reason: the most frequent first."""
        return sorted(((where, code, reason) for (where, code), reason in self.reasons.items()), key=lambda each: -each[2].rows)

    def _reason(self, where: str, code: str) -> Reason:
        return self.reasons.setdefault((where, code), Reason())


@dataclass(slots=True)
class Report:
    """A whole load."""

    mapping: str
    target: str
    files: list[Tally] = field(default_factory=list)
    declared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    """What the rows refer to, sent before them."""
    refused_declarations: list[str] = field(default_factory=list)
    """Why declarations were not taken, each reason once."""
    repaired: list[str] = field(default_factory=list)
    """Areas whose polygon the hub had to repair."""
    seconds: float = 0.0
    retries: int = 0
    stopped: str | None = None
    """Why the load ended before its end."""

    @property
    def total(self) -> Tally:
        first = self.files[0] if self.files else Tally("")
        total = Tally("all files", first.unit, first.values_per_line)
        for tally in self.files:
            total.merge(tally)
        return total

    @property
    def rejected(self) -> int:
        """Rows and declarations that were not taken."""
        return self.total.counts["rejected"] + self.declared["rejected"]

    def as_dict(self) -> dict[str, Any]:
        total = self.total
        return {
            "mapping": self.mapping,
            "target": self.target,
            "files": [tally.as_dict() for tally in self.files],
            "total": {key: value for key, value in total.as_dict().items() if key not in ("name", "reasons")},
            "declared": self.declared,
            "refused_declarations": self.refused_declarations,
            "repaired": self.repaired,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(total.rows / self.seconds) if self.seconds else None,
            "retries": self.retries,
            "stopped": self.stopped,
        }
