"""An answer: a table that knows what its columns are and which sources it rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from liandong.coverage import Coverage
from liandong.problems import BrokenAnswer

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows with their columns and coverage. It iterates over the rows as dictionaries; `repr` shows what is missing."""

    table: pa.Table
    coverage: Coverage
    columns: Sequence[Mapping[str, Any]] = ()
    """What each column is: `name`, `type`, `role`, and of measures `fn`, `unit`, `relative_error`."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the hub said: `numberMatched`, `known_at`."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every row as a dictionary; times are aware."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def to_arrow(self) -> pa.Table:
        return self.table

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """A DataFrame; `options` are those of `pyarrow.Table.to_pandas`."""
        found: pd.DataFrame = self.table.to_pandas(**options)
        return found

    def to_polars(self) -> pl.DataFrame:
        import polars

        made = polars.from_arrow(self.table)
        assert isinstance(made, polars.DataFrame)
        return made

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"<Answer {self.table.num_rows:,} rows × {', '.join(self.table.column_names)}; {self.coverage}>"

    def _repr_html_(self) -> str:
        """The first rows, and the coverage above them, in a notebook."""
        import html

        shown = self.table.slice(0, 20).to_pylist()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.table.column_names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>" for row in shown)
        more = f"<p>… {len(self) - len(shown):,} more rows</p>" if len(self) > len(shown) else ""
        return f"<p>{html.escape(str(self.coverage))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def answer_of(content: bytes) -> Answer:
    """The answer that an Arrow stream with its description in the schema's metadata is."""
    try:
        table = pa.ipc.open_stream(pa.py_buffer(content)).read_all()
    except (pa.ArrowException, OSError) as error:
        raise BrokenAnswer(f"The answer is no whole Arrow stream: {error}") from error
    described = description(table.schema)
    if "coverage" not in described:
        raise BrokenAnswer("The answer does not say which sources it rests on.")
    return made(table, described)


def description(schema: pa.Schema) -> dict[str, Any]:
    """What the hub says of an answer in the metadata of its schema."""
    said = (schema.metadata or {}).get(b"liandong")
    found: dict[str, Any] = json.loads(said) if said else {}
    return found


def made(table: pa.Table, described: Mapping[str, Any]) -> Answer:
    about = {name: value for name, value in described.items() if name not in ("coverage", "columns")}
    plain = table.replace_schema_metadata(None)
    return Answer(plain, Coverage.of(described["coverage"]), described.get("columns", ()), about)


def together(pages: Sequence[Answer]) -> Answer:
    """Pages of one answer as one."""
    if len(pages) == 1:
        return pages[0]
    table = pa.concat_tables([page.table for page in pages], promote_options="permissive")
    return Answer(table, Coverage.together(page.coverage for page in pages), pages[0].columns, pages[0].about)
