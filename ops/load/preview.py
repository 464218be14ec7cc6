"""What a load would send, from the first rows of each file; nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ops.load.files import chunks_of, fitted, unit_of
from ops.load.mapping import CannotMap, FileMapping
from ops.load.rows import batch_of, body_of, declarations
from ops.load.tally import Tally

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """The first batch of a file."""

    tally: Tally
    """Nothing was sent, so its rows are those rejected here."""
    ready: int
    rows: list[dict[str, Any]]
    declared: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        counted = self.tally.as_dict()
        counts = {key: counted[key] for key in ("name", "lines", "values_per_line", "blank_lines", "empty", "rejected", "reasons")}
        return counts | {"ready": self.ready, "first_rows": self.rows, "first_declared": self.declared}


def preview(paths: Sequence[Path], mapping: FileMapping) -> list[Preview]:
    """Map the first batch of each file. Raises `CannotMap`."""
    found = []
    for path in paths:
        own = fitted(path, mapping)
        as_json = own.model_copy(update={"target": own.target.model_copy(update={"body": "json"})})
        chunk = next(chunks_of(path, own), None)
        if chunk is None:
            raise CannotMap(f"{path} has no rows.")
        batch = batch_of(chunk, own)
        tally = Tally(path.name, unit_of(path, own), max(1, len(own.cells)))
        tally.mapped(batch)
        rows = [*mapping.add, *orjson.loads(body_of(batch, as_json))]
        found.append(Preview(tally, len(batch), rows[:SHOWN], declarations(batch, own, set())[:SHOWN]))
    return found
