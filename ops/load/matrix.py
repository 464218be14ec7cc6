"""Reads a square matrix without a header, whose columns and lines are named, in one order, by a column of a file beside it."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from ops.load.chunks import Chunk, Lines
from ops.load.delimited import read_csv, read_headless
from ops.load.mapping import CannotMap, FileForm, Matrix
from ops.load.opening import opened, readable

SHOWN = 20
"""Names that a message lists."""


def names_of(path: Path, matrix: Matrix) -> list[str]:
    """The names of the matrix's columns, which are those of its lines. Raises `CannotMap` if they cannot be told for certain."""
    beside = path.with_name(matrix.file)
    if not beside.is_file():
        raise CannotMap(f"{path} has no header: column {matrix.column!r} of {matrix.file} names its lines and columns, and {beside} is missing. Put it there.")
    names: list[str] = []
    for chunk in read_csv(beside, FileForm(), (matrix.column,)):
        if chunk.bad:
            raise CannotMap(f"{beside} names the lines and columns of {path}, and its line {chunk.bad[0].line} is broken: {chunk.bad[0].detail}")
        names += [name.strip() for name in chunk.table.column(matrix.column).to_pylist()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or "" in names or twice:
        fault = "is empty" if not names else "lacks a name" if "" in names else f"has {twice[0]!r} twice"
        raise CannotMap(f"{beside} names the lines and columns of {path}, and its column {matrix.column!r} {fault}.")
    if matrix.line in names:
        raise CannotMap(f"{beside} has the name {matrix.line!r}, under which the mapping finds the name of a line. Say another in [matrix] line.")
    return names


def read_matrix(path: Path, form: FileForm, matrix: Matrix, needed: Collection[str] = ()) -> Iterator[Chunk]:
    """The lines of a matrix, its columns named, and `matrix.line` with the name of each line.

    Raises `CannotMap` before the first of them if there are more or fewer lines or columns than names, or no such column as is needed.
    """
    names = names_of(path, matrix)
    numbers, columns = _measured(path, form)
    for count, what in ((len(numbers), "lines"), (columns, "columns")):
        if count != len(names):
            raise CannotMap(f"{path} has {count} {what}, and {path.with_name(matrix.file)} has names for {len(names)}. They must be as many, in one order.")
    absent = sorted(set(needed) - {matrix.line, *names})
    if absent:
        raise CannotMap(f"{path} has no column {absent[0]!r}. A line's name is {matrix.line!r}, and its columns are {', '.join(names[:SHOWN])}.")
    for chunk in read_headless(path, form, names):
        own = pa.array(names, pa.string()).take(pa.array(np.searchsorted(numbers, chunk.lines)))
        yield Chunk(chunk.table.append_column(matrix.line, own), chunk.lines, chunk.bad, chunk.blank)


def _measured(path: Path, form: FileForm) -> tuple[Lines, int]:
    """The numbers of the lines that have any text, which bear the names whatever is wrong with them, and the columns of the first."""
    columns, numbers = 0, []
    with readable(path), opened(path, form.encoding) as stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                columns = columns or len(next(csv.reader([line.decode()], delimiter=form.delimiter)))
                numbers.append(number)
    return np.array(numbers, np.int64), columns
