"""Batches of independent rows: which are rejected and why, and the answer that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LISTED = 100
"""Most errors that an answer lists; all are counted."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row was not taken."""

    row: int
    """Position in the body, from 0; a header line does not count."""
    pointer: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class LoadAnswer:
    """What became of a batch. `taken + corrected + duplicates + rejected` is the number of its rows."""

    taken: int = 0
    corrected: int = 0
    duplicates: int = 0
    rejected: int = 0
    errors: Sequence[RowError] = ()
    unlisted_errors: int = 0
    """How many more rows were rejected than `errors` lists."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Rejections:
    """The rows of a batch that are still to be taken, and the errors of the others; a row is rejected once, for its first fault."""

    numbers: NDArray[np.int32]
    """The position in the body of each readable row."""
    alive: Mask = field(init=False)
    rejected: int = 0
    errors: list[RowError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alive = np.ones(len(self.numbers), dtype=np.bool_)

    def reject(self, bad: Mask, column: str, code: str, detail: Callable[[int], str]) -> None:
        """Reject the rows that `bad` marks; `detail` explains one of them by its index."""
        indices = np.flatnonzero(bad & self.alive)
        if not len(indices):
            return
        self.alive[indices] = False
        self.rejected += len(indices)
        self.errors += [RowError(row := int(self.numbers[index]), f"/{row}/{column}", code, detail(index)) for index in indices[:LISTED].tolist()]

    def unreadable(self, errors: Sequence[RowError]) -> None:
        """Count rows that could not even be read."""
        self.rejected += len(errors)
        self.errors += errors[:LISTED]

    def answer(self, *, taken: int, corrected: int, duplicates: int) -> LoadAnswer:
        listed = sorted(self.errors, key=lambda error: error.row)[:LISTED]
        return LoadAnswer(taken, corrected, duplicates, self.rejected, listed, self.rejected - len(listed))
