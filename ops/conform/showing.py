"""A report as a table: what failed first, then what was skipped; what passed in one line each."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.conform.model import Result
from ops.conform.run import Report

COLOURS = {"failed": "red", "skipped": "yellow", "passed": "green"}


def show(report: Report, console: Console, *, chinese: bool, details: bool) -> None:
    """Checks in their order; a check of many datasets is one line for each outcome and reason. `details` shows what passed, too."""
    table = Table("", "check", "datasets", "reason · clause", title=f"{escape(report.url)}", title_justify="left")
    for outcome in ("failed", "skipped", "passed"):
        shown = [result for result in report.results if result.outcome == outcome]
        if outcome == "passed" and not details:
            continue
        for lines in _alike(shown):
            first = lines[0]
            title = first.check.title.zh if chinese else first.check.title.en
            why = f"{first.reason}\n" if first.reason else ""
            datasets = ", ".join(result.dataset for result in lines if result.dataset) or "–"
            mark = f"[{COLOURS[outcome]}]{outcome}[/]"
            table.add_row(mark, f"{first.check.id}\n[dim]{escape(title)}[/]", escape(datasets), f"{escape(why)}[dim]{escape(first.check.clause)}[/]")
    if table.row_count:
        console.print(table)
    counts = ", ".join(f"[{COLOURS[outcome]}]{report.count(outcome)} {outcome}[/]" for outcome in ("passed", "failed", "skipped"))
    console.print(f"{counts} · {report.requests} requests, {report.bytes / 2**20:.1f} MiB, {report.elapsed_s:.1f} s")
    if report.ended_early:
        console.print(f"[red]{escape(report.ended_early)}[/]")
    verdict = (
        ("[green]符合联动契约第 1 版[/]", "[green]Conforms to version 1 of the contract[/]")
        if report.conforms
        else ("[red]不符合[/]", "[red]Does not conform[/]")
    )
    console.print(verdict[0] if chinese else verdict[1])


def _alike(results: Iterable[Result]) -> list[list[Result]]:
    """Results of the same check with the same reason, together."""
    ordered = sorted(results, key=lambda result: (result.check.id, result.reason))
    return [list(group) for _, group in groupby(ordered, key=lambda result: (result.check.id, result.reason))]
