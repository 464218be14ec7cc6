"""Pieces of a file: columns of texts, the line of each row, and lines that are no rows; cut to the size of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Lines = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why something of a file was not sent, or not taken."""

    line: int
    """From 1, the header included; of a JSON file the number of the record."""
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive lines of a file."""

    table: pa.Table
    """Texts; null where the file says nothing."""
    lines: Lines
    bad: list[Fault] = field(default_factory=list)
    """Lines that could not even be split into columns."""
    blank: int = 0
    """Lines without any text; they are no rows."""

    def __len__(self) -> int:
        return len(self.lines)


def cut(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """The same lines in pieces of exactly `size`, but for the last; so a batch has the same rows at every attempt."""
    held: list[Chunk] = []
    count = 0
    for chunk in chunks:
        held.append(chunk)
        count += len(chunk)
        while count >= size:
            whole = _joined(held)
            yield Chunk(whole.table.slice(0, size), whole.lines[:size], whole.bad, whole.blank)
            held = [Chunk(whole.table.slice(size), whole.lines[size:])]
            count -= size
    if held and (rest := _joined(held)) and (len(rest) or rest.bad or rest.blank):
        yield rest


def _joined(held: list[Chunk]) -> Chunk:
    if len(held) == 1:
        return held[0]
    table = pa.concat_tables([chunk.table for chunk in held], promote_options="default")
    lines = np.concatenate([chunk.lines for chunk in held])
    return Chunk(table, lines, [fault for chunk in held for fault in chunk.bad], sum(chunk.blank for chunk in held))
