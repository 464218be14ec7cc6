"""What a statement is about: tables as they exist for the asker, and the plan of what each source is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["string", "integer", "number", "boolean", "datetime", "date"]
SOURCE = "_source"
"""The column that names the source of each row. `*` does not hold it."""
TYPES: dict[Kind, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "datetime": "TIMESTAMPTZ",
    "date": "DATE",
}
"""The SQL type in which values of a field's type travel."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: Kind
    unit: str | None = None
    title: Mapping[str, str] = field(default_factory=dict)
    derived: bool = False
    """Not a field but where the row lies or comes from: filters cannot name it."""
    personal: bool = False
    """Whether it concerns persons: then sources count it in fixed cells only, and rows are asked."""


@dataclass(frozen=True, slots=True)
class Table:
    """A dataset as it exists for the asker."""

    dataset: str
    columns: Mapping[str, Column]
    """By name in lower case."""
    title: Mapping[str, str]
    time: str | None = None
    """The column that places a row in time."""
    keys: frozenset[str] = frozenset()
    """Columns that tell every row from every other: grouping by them saves nothing."""
    groups: bool = False
    """Whether sources may group the rows: not where small groups are suppressed or data concern persons."""


Catalogue = Mapping[str, Table]
"""Tables by the dataset's id."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A scan: the rows of a dataset that meet a condition."""

    name: str
    dataset: str
    columns: tuple[str, ...]
    filter: Mapping[str, Any] | None = None
    """CQL2 JSON."""
    limit: int | None = None
    bound: Bound | None = None
    """The column whose values another, smaller scan gives."""


@dataclass(frozen=True, slots=True)
class Bound:
    """`column` takes only the values that `other` has in `by`, if these are few."""

    column: str
    other: str
    by: str


@dataclass(frozen=True, slots=True)
class Groups:
    """A scan of groups that the sources compute: dimensions as in an aggregate question, and measures."""

    name: str
    dataset: str
    by: Mapping[str, str]
    measures: Mapping[str, Mapping[str, Any]]
    filter: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the sources, and what is computed from their answers."""

    sql: str
    scans: tuple[Rows | Groups, ...]
    once: bool
    """Whether every scan is read once from its beginning to its end, so that it may stream."""
    linear: bool = False
    """Whether rows are only ever looked at by themselves: nothing is joined, nothing computed again for each row of something else."""

    @property
    def light(self) -> bool:
        """Whether little is computed: of groups that the sources made, or of few rows, none of them joined."""
        return self.linear and all(isinstance(scan, Groups) or (scan.limit is not None and scan.limit <= LIGHT_ROWS) for scan in self.scans)


LIGHT_ROWS = 10_001
"""As many as are given unless more are asked for, and the one that tells whether there are more."""
