"""Reads CSV as a stream: every column as text, broken lines set aside, each row with the line it begins on."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from ops.load.chunks import Chunk, Fault, Lines
from ops.load.mapping import CannotMap, FileForm, suggestion
from ops.load.opening import opened, readable

BLOCK = 1 << 20
"""Bytes that are parsed at once; a longer line is refused."""


def read_csv(path: Path, form: FileForm, needed: Collection[str] = ()) -> Iterator[Chunk]:
    """The rows of a CSV file with a header (RFC 4180, any delimiter); lines without any text are counted, but no rows.

    Raises `CannotMap` if the header lacks a needed column.
    """
    names = header_of(path, form)
    absent = sorted(set(needed) - set(names))
    if absent:
        raise CannotMap(f"{path} has no column {absent[0]!r}.{suggestion(absent[0], names)} It has {', '.join(names)}.")
    yield from _rows(path, form, names, _Numbering())


def read_headless(path: Path, form: FileForm, names: list[str]) -> Iterator[Chunk]:
    """The rows of a CSV file whose first line is a row already; its columns are told here."""
    yield from _rows(path, form, names, _Numbering(next_record=1))


def _rows(path: Path, form: FileForm, names: list[str], numbering: _Numbering) -> Iterator[Chunk]:
    with readable(path):
        with opened(path, form.encoding) as stream:
            for batch in _parsed(stream, names, form, numbering):
                yield numbering.chunk(batch)
        yield numbering.rest(names)


def header_of(path: Path, form: FileForm) -> list[str]:
    """The names of the columns. Raises `CannotMap` if there are none, or one twice."""
    with readable(path), io.TextIOWrapper(opened(path, form.encoding), encoding="utf-8", newline="") as text:
        names = next(csv.reader(text, delimiter=form.delimiter), [])
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise CannotMap(f"{path} has the column {twice[0]!r} twice." if twice else f"{path} is empty; a CSV file begins with a header line.")
    return names


def _parsed(stream: io.BufferedReader, names: list[str], form: FileForm, numbering: _Numbering) -> Iterator[pa.RecordBatch]:
    with arrow_csv.open_csv(
        stream,
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names if numbering.next_record == 1 else None),
        parse_options=arrow_csv.ParseOptions(
            delimiter=form.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=numbering.set_aside
        ),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    ) as reader:
        yield from reader


@dataclass(slots=True)
class _Numbering:
    """Which line of the file each row begins on, though some lines are set aside, empty, or part of a quoted value."""

    next_record: int = 2
    """1 at the beginning of a file without a header."""
    line_ends_within: int = 0
    """Line ends within the values of all records so far."""
    aside: list[tuple[int, int, str]] = field(default_factory=list)
    """Records that are no rows, not yet placed: number, line ends within, what is wrong."""

    def set_aside(self, row: Any) -> str:
        """Called for a record with another number of columns than the file."""
        detail = f"The line has {row.actual_columns} columns instead of {row.expected_columns}: {row.text[:80]}"
        self.aside.append((row.number, row.text.count("\n"), detail))
        return "skip"

    def chunk(self, batch: pa.RecordBatch) -> Chunk:
        """The rows of a parsed block with their lines; empty lines are dropped."""
        lines, bad = self._placed(batch)
        table = pa.Table.from_batches([batch])
        filled = _filled(table)
        return Chunk(table, lines, bad) if filled.all() else Chunk(table.filter(pa.array(filled)), lines[filled], bad, int((~filled).sum()))

    def rest(self, names: list[str]) -> Chunk:
        """What was set aside after the last row."""
        lines, bad = self._lines(np.array([], np.int64), np.array([], np.int64), self.aside)
        return Chunk(pa.table({name: pa.array([], pa.string()) for name in names}), lines, bad)

    def _placed(self, batch: pa.RecordBatch) -> tuple[Lines, list[Fault]]:
        numbers = np.array([number for number, _, _ in self.aside], np.int64)
        records = np.setdiff1d(np.arange(self.next_record, self.next_record + batch.num_rows + len(numbers)), numbers)[: batch.num_rows]
        last = int(records[-1]) if batch.num_rows else 0
        before, self.aside = [one for one in self.aside if one[0] < last], [one for one in self.aside if one[0] > last]
        self.next_record = max(self.next_record, last + 1)
        return self._lines(records, _line_ends(batch), before)

    def _lines(self, records: Lines, within: Lines, aside: list[tuple[int, int, str]]) -> tuple[Lines, list[Fault]]:
        """A record begins on the line of its number, moved down by every line end within the records before it."""
        numbers = np.concatenate([records, np.array([number for number, _, _ in aside], np.int64)])
        ends = np.concatenate([within, np.array([count for _, count, _ in aside], np.int64)])
        order = np.argsort(numbers)
        lines = np.empty_like(numbers)
        lines[order] = numbers[order] + self.line_ends_within + np.cumsum(ends[order]) - ends[order]
        self.line_ends_within += int(ends.sum())
        faults = [Fault(int(line), "wrong-number-of-columns", detail) for line, (_, _, detail) in zip(lines[len(records) :], aside, strict=True)]
        return lines[: len(records)], faults


def _filled(table: pa.Table) -> NDArray[np.bool_]:
    """Rows that have any text."""
    found = np.zeros(table.num_rows, np.bool_)
    for column in table.columns:
        found |= compute.fill_null(compute.not_equal(column, ""), fill_value=False).to_numpy()
        if found.all():
            break
    return found


def _line_ends(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Line ends within the values of each row."""
    found = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        found += compute.fill_null(compute.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
    return found
