"""How a load looks to a person: progress while it runs, then an account that adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ops.load.engine import Watch
from ops.load.mapping import SHIPPED, FileMapping
from ops.load.opening import survey
from ops.load.preview import Preview
from ops.load.tally import OUTCOMES, SERVICE, UNLISTED, Report, Tally

NAMED, LONGEST_ROW = 5, 300


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


def show_report(report: Report, console: Console, notes: str = "") -> None:
    """Every file's sums, and why rows were rejected. The mapping's `notes` say what it needs; they are shown where every row was rejected."""
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    say(f"{report.mapping} → {report.target}", style="bold")
    total = report.total
    for tally in (*report.files, *((total,) if len(report.files) > 1 else ())):
        say(f"{tally.name}\n  {_sent(tally)}\n  {_became(tally)}")
    if any(report.declared.values()):
        say("declared before them: " + ", ".join(f"{count:,} {outcome}" for outcome, count in report.declared.items() if count))
    for refused in report.refused_declarations[:NAMED]:
        say(f"  {refused}", style="yellow")
    if report.repaired:
        say(f"polygons that crossed themselves, repaired by the hub: {', '.join(report.repaired)}")
    _show_reasons(report.files[0] if len(report.files) == 1 else total, say)
    if notes and total.counts["rejected"] == total.rows > 0:
        say(f"Every row was rejected. What the mapping says of itself:\n{_indented(notes)}", style="yellow")
    rate = f", {total.rows / report.seconds:,.0f} rows/s" if report.seconds else ""
    again = f", {report.retries} requests sent again" if report.retries else ""
    say(f"{report.seconds:,.1f} s{rate}{again}")
    if report.stopped:
        say(f"Stopped: {report.stopped}", style="red")
        say("The same command may be run again: what is recorded then counts as duplicates.")


def _sent(tally: Tally) -> str:
    """What the file holds, as a sum."""
    values = f" × {tally.values_per_line} values" if tally.values_per_line > 1 else ""
    added = f" + {tally.added:,} of the mapping's own" if tally.added else ""
    empty = f"{tally.empty:,} empty + " if tally.values_per_line > 1 else ""
    unsent = f" + {tally.unsent:,} not sent" if tally.unsent else ""
    blank = f" (and {tally.blank:,} without any text)" if tally.blank else ""
    return f"{tally.lines:,} {tally.unit}s{values}{added} = {empty}{tally.rows:,} rows{unsent}{blank}"


def _became(tally: Tally) -> str:
    return f"{tally.rows:,} rows = " + " + ".join(f"{tally.counts[outcome]:,} {outcome}" for outcome in OUTCOMES)


def _show_reasons(tally: Tally, say: Callable[..., None]) -> None:
    for where, code, reason in tally.by_rows:
        if code == UNLISTED:
            say(f"{reason.rows:,} rejected by the service, more than it lists one by one; the reasons here are those of the first.", style="yellow")
            continue
        say(f"{reason.rows:,} rejected {'by the service' if where == SERVICE else 'before sending'}: {code}", style="yellow")
        for example in reason.examples:
            file = f"{example['file']}, " if "file" in example else ""
            number = example.get("line", example.get("record"))
            place = f"{'line' if 'line' in example else 'record'} {number}" if number else "a row of the mapping's own"
            column = f", {example['column']}" if "column" in example else ""
            say(f"  {file}{place}{column}: {example['detail']}")


def show_previews(previews: Sequence[Preview], mapping: FileMapping, console: Console) -> None:
    """What would be sent."""
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    target = mapping.target
    say(f"{mapping.title.zh} · {mapping.title.en}", style="bold")
    if mapping.notes:
        say(_indented(mapping.notes))
    for each in previews:
        say(f"{each.tally.name}: {each.tally.lines:,} {each.tally.unit}s read, {each.ready:,} rows ready, {each.tally.counts['rejected']:,} rejected")
        if mapping.declare and each.declared:
            say(f"{mapping.declare.method} {target.service}{mapping.declare.path}, first:")
            _show_rows(each.declared, say)
        say(f"{target.method} {target.service}{target.path}, first:")
        _show_rows(each.rows, say)
        _show_reasons(each.tally, say)


def _indented(notes: str) -> str:
    return "\n".join(f"  {line}" for line in notes.strip().splitlines())


def _show_rows(rows: Sequence[object], say: Callable[..., None]) -> None:
    for row in rows:
        text = orjson.dumps(row).decode()
        say(f"  {text[:LONGEST_ROW]}{'…' if len(text) > LONGEST_ROW else ''}")


def show_mappings(mappings: Sequence[FileMapping], console: Console) -> None:
    """Shipped mappings with where their originals are published."""
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    say(f"in {SHIPPED}")
    for each in mappings:
        say(each.name, style="bold")
        say(f"  {each.title.zh}\n  {each.title.en}\n  → {each.target.service}{each.target.path}\n  {each.source}\n  {each.licence}")
