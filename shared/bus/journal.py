"""A handler that keeps each event as one row: a batch is one statement and one commit, with no session in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shared.bus.entries import Entry
from shared.events.model import CloudEvent

Row = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Journal:
    """What `Service.on` may name instead of a function, where nothing is decided and every millisecond counts.

    The table also has `source`, `id` and an identity column `position`; positions rise in the order of the entries.
    """

    table: str
    columns: Mapping[str, str]
    """The other columns with their PostgreSQL types."""
    row: Callable[[CloudEvent], Row]
    """Their values, in the same order."""
    kept: Callable[[Any, Sequence[tuple[int, str, Row]]], None]
    """Called right after the commit with the runtime and (position, source, row) of each event that was new. It must not raise or wait."""

    @cached_property
    def taking(self) -> str:
        """Keeps those of the given events that have not been processed before, and says which."""
        taken = "taken AS (INSERT INTO processed (source, event_id) SELECT source, id FROM given ON CONFLICT DO NOTHING RETURNING source, event_id AS id),"
        return self._insert(taken, "given JOIN taken USING (source, id)")

    @cached_property
    def plain(self) -> str:
        """Keeps all of the given events."""
        return self._insert("", "given")

    def _insert(self, taken: str, chosen: str) -> str:
        names = ", ".join(("source", "id", *self.columns))
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(("text", "text", *self.columns.values()), start=1))
        return f"""
            WITH given AS (SELECT * FROM unnest({arrays}) WITH ORDINALITY AS given ({names}, place)), {taken}
            kept AS (INSERT INTO {self.table} ({names}) SELECT {names} FROM {chosen} ORDER BY place RETURNING position, source, id)
            SELECT position, source, id FROM kept ORDER BY position
        """

    async def write(self, driver: Any, entries: Sequence[Entry], statement: str) -> list[tuple[int, str, Row]]:
        """Run one of the two statements on the driver's connection; (position, source, row) of each event that was kept."""
        rows = {entry.key: self.row(entry.envelope) for entry in entries if entry.envelope}
        if not rows:
            return []
        columns = zip(*((*key, *row) for key, row in rows.items()), strict=True)
        return [(found["position"], found["source"], rows[found["source"], found["id"]]) for found in await driver.fetch(statement, *map(list, columns))]
