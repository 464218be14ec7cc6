"""How a load looks to a person: progress while it runs, then an account that adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ops.load.engine import Watch
from ops.load.mapping import SHIPPED, FileMapping
from ops.load.opening import survey
from ops.load.preview import Preview
from ops.load.tally import OUTCOMES, Report, Tally

NAMED = 5


@contextmanager
def progress_of(paths: Sequence[Path], console: Console) -> Iterator[Watch]:
    """A bar over the lines of all files."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        total = sum(survey(path).lines for path in paths) if console.is_terminal else None
        task = progress.add_task("load", total=total)

        def watch(tally: Tally, lines: int) -> None:
            progress.update(task, advance=lines, description=tally.name)

        yield watch


def show_report(report: Report, console: Console) -> None:
    """The table of files, the sum that adds up, and why rows were rejected."""
    console.print(_table(report))
    total = report.total
    cells = f" × {total.values_per_line} values" if total.values_per_line > 1 else ""
    added = f" + {total.added:,} of the mapping's own" if total.added else ""
    empty = f" = {total.empty:,} empty + {total.rows:,} rows" if total.values_per_line > 1 else f" = {total.rows:,} rows"
    unsent = f" + {total.unsent:,} not sent" if total.unsent else ""
    console.print(f"{total.lines:,} lines{cells}{added}{empty}{unsent}", highlight=False)
    console.print(f"{total.rows:,} rows = " + " + ".join(f"{total.counts[outcome]:,} {outcome}" for outcome in OUTCOMES), highlight=False)
    if any(report.declared.values()):
        console.print("declared before them: " + ", ".join(f"{count:,} {outcome}" for outcome, count in report.declared.items() if count), highlight=False)
    for refused in report.refused_declarations[:NAMED]:
        console.print(f"  {refused}", markup=False, highlight=False, style="yellow")
    if report.repaired:
        console.print(f"polygons that crossed themselves, repaired by the hub: {', '.join(report.repaired)}", highlight=False)
    for tally in report.files:
        _show_reasons(tally, console)
    rate = f", {total.rows / report.seconds:,.0f} rows/s" if report.seconds else ""
    again = f", {report.retries} requests sent again" if report.retries else ""
    console.print(f"{report.seconds:,.1f} s{rate}{again}", highlight=False)
    if report.stopped:
        console.print(f"Stopped: {report.stopped}", style="red", markup=False, highlight=False, soft_wrap=True)
        console.print("The same command may be run again: what is recorded then counts as duplicates.", highlight=False)


def _table(report: Report) -> Table:
    table = Table(title=f"{report.mapping} → {report.target}", title_justify="left")
    wide = any(tally.values_per_line > 1 for tally in report.files)
    for name in ("file", "lines", *(("empty",) if wide else ()), "rows", *OUTCOMES):
        table.add_column(name, justify="left" if name == "file" else "right")
    for tally in report.files:
        numbers = [tally.lines, *((tally.empty,) if wide else ()), tally.rows, *tally.counts.values()]
        table.add_row(tally.name, *(f"{number:,}" for number in numbers))
    return table


def _show_reasons(tally: Tally, console: Console) -> None:
    for (where, code), reason in sorted(tally.reasons.items(), key=lambda item: -item[1].rows):
        who = "by the service" if where == "service" else "before sending"
        console.print(f"{tally.name}: {reason.rows:,} rejected {who}: {code}", style="yellow", markup=False, highlight=False)
        for example in reason.examples:
            place = f"line {example['line']}" if example["line"] else "–"
            column = f", {example['column']}" if "column" in example else ""
            console.print(f"  {place}{column}: {example['detail']}", markup=False, highlight=False, soft_wrap=True)


def show_previews(previews: Sequence[Preview], mapping: FileMapping, console: Console) -> None:
    """What would be sent."""
    target = mapping.target
    console.print(f"{mapping.title.zh} · {mapping.title.en}", highlight=False)
    for each in previews:
        lines = f"{each.tally.lines + each.tally.blank:,} lines read: {each.ready:,} rows ready, {each.tally.counts['rejected']:,} rejected"
        console.print(f"{each.tally.name}: {lines}", highlight=False)
        if mapping.declare and each.declared:
            console.print(f"{mapping.declare.method} {target.service}{mapping.declare.path}, first:", highlight=False)
            _show_rows(each.declared, console)
        console.print(f"{target.method} {target.service}{target.path}, first:", highlight=False)
        _show_rows(each.rows, console)
        _show_reasons(each.tally, console)


def _show_rows(rows: Sequence[object], console: Console) -> None:
    for row in rows:
        text = orjson.dumps(row).decode()
        console.print(f"  {text[:300]}{'…' if len(text) > 300 else ''}", markup=False, highlight=False, soft_wrap=True)


def show_mappings(mappings: Sequence[FileMapping], console: Console) -> None:
    """Shipped mappings with where their originals are published."""
    table = Table("mapping", "loads · 内容", "into", "original", "licence", title=str(SHIPPED), title_justify="left", show_lines=True)
    for each in mappings:
        table.add_row(each.name, f"{each.title.zh}\n{each.title.en}", f"{each.target.service}{each.target.path}", each.source, each.licence)
    console.print(table)
