"""Makes all checks of a server, whatever it does, and reports."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ops.conform.asking import GivenUp
from ops.conform.checks import CHECKS
from ops.conform.model import Check, Failed, Outcome, Result, Skipped, Unanswered, Unmet, plain
from ops.conform.subject import Subject

MOST_DATASETS = 100


@dataclass(slots=True)
class Report:
    """All results of a run."""

    url: str
    results: list[Result] = field(default_factory=list)
    requests: int = 0
    bytes: int = 0
    elapsed_s: float = 0.0
    ended_early: str | None = None

    def count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)

    @property
    def conforms(self) -> bool:
        """Nothing failed, nothing rested on what failed, and the run came to its end."""
        return self.ended_early is None and not any(result.outcome == "failed" or result.blocked for result in self.results) and self.count("passed") > 0

    def faults(self) -> list[str]:
        """What failed, what could not be judged because of it, and why the run ended early if it did."""
        found = [f"{one.check.id} {one.dataset or ''}: {one.reason}" for one in self.results if one.outcome == "failed" or one.blocked]
        return found + ([self.ended_early] if self.ended_early else [])

    def as_dict(self) -> dict[str, Any]:
        counts = {outcome: self.count(outcome) for outcome in ("passed", "failed", "skipped")}
        costs = {"requests": self.requests, "bytes": self.bytes, "elapsed_s": round(self.elapsed_s, 1), "ended_early": self.ended_early}
        return {"url": self.url, "contract": "1", "conforms": self.conforms, **counts, **costs, "checks": [result.as_dict() for result in self.results]}


async def conform(subject: Subject, checks: Sequence[Check] = CHECKS) -> Report:
    """Every check once, or once for each dataset. It always ends, and always with a report."""
    report, began = Report(subject.asker.url), time.monotonic()
    try:
        for check in checks:
            if check.server is not None:
                report.results.append(await _made(subject, check, None))
        for name in await _datasets(subject, report):
            for check in checks:
                if check.dataset is not None:
                    report.results.append(await _made(subject, check, name))
    except GivenUp as error:
        report.ended_early = str(error)
    report.requests, report.bytes, report.elapsed_s = subject.asker.requests, subject.asker.bytes, time.monotonic() - began
    return report


async def _datasets(subject: Subject, report: Report) -> list[str]:
    try:
        return (await subject.ids())[:MOST_DATASETS]
    except Failed as error:
        report.ended_early = f"The datasets are not known: {error}"
    except Skipped as error:
        report.ended_early = f"The datasets are not known: it {error}"
    return []


async def _made(subject: Subject, check: Check, dataset: str | None) -> Result:
    """One check; tried once more as of a past moment if the dataset changed while it was made."""
    began, requests = time.monotonic(), subject.asker.requests
    outcome, reason, blocked = await _outcome(subject, check, dataset)
    if outcome == "failed" and dataset is not None and dataset not in subject.pinned and await _moves(subject, dataset):
        outcome, reason, blocked = await _outcome(subject, check, dataset)
    elapsed = round((time.monotonic() - began) * 1000)
    made = Result(check=check, dataset=dataset, outcome=outcome, reason=plain(reason), blocked=blocked, elapsed_ms=elapsed)
    return replace(made, requests=subject.asker.requests - requests)


async def _outcome(subject: Subject, check: Check, dataset: str | None) -> tuple[Outcome, str, bool]:
    try:
        if dataset is not None and check.dataset is not None:
            await check.dataset(subject, await subject.dataset(dataset))
        elif check.server is not None:
            await check.server(subject)
    except Unmet as error:
        return "skipped", str(error), True
    except Skipped as error:
        return "skipped", str(error), False
    except Failed as error:
        return "failed", str(error), False
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        return "failed", f"An answer is not of the form that the contract gives it ({type(error).__name__}: {error}).", False
    return "passed", "", False


async def _moves(subject: Subject, dataset: str) -> bool:
    """Whether the dataset has changed since its slice was read; from now on it is then asked as of a past moment."""
    try:
        shared = await subject.dataset(dataset)
        known = await subject.slice(shared)
        rows, _ = await subject.walk(shared, known.records)
        if _content(rows) == _content(known.rows):
            return False
        _, _, document = await subject.page(shared, {"limit": 1})
    except (Failed, Skipped, Unanswered):
        return False
    subject.pinned[dataset] = str(document.get("timeStamp"))
    return True


def _content(rows: Sequence[Any]) -> list[tuple[str, Any]]:
    return sorted(((row.id, row.values) for row in rows), key=lambda pair: pair[0])
