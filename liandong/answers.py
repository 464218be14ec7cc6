"""An answer: a table that knows what its columns are and which sources it rests on."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from liandong.coverage import Coverage
from liandong.streams import Reading

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
    """What else the hub said: `numberMatched`, `known_at`, `truncated`."""

    @property
    def truncated(self) -> bool:
        """Whether there were more rows than were asked for."""
        return bool(self.about.get("truncated"))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every row as a dictionary; times are aware."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def to_arrow(self) -> pa.Table:
        return self.table

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """A DataFrame; `options` are those of `pyarrow.Table.to_pandas`."""
        _load("pandas")
        found: pd.DataFrame = self.table.to_pandas(**options)
        return found

    def to_polars(self) -> pl.DataFrame:
        found: pl.DataFrame = _load("polars").from_arrow(self.table)
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"<Answer {self.table.num_rows:,} rows × {', '.join(self.table.column_names)}{', TRUNCATED' if self.truncated else ''}; {self.coverage}>"

    def _repr_html_(self) -> str:
        """The first rows, and the coverage above them, in a notebook."""
        import html

        shown = self.table.slice(0, 20).to_pylist()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.table.column_names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row.values()) + "</tr>" for row in shown)
        more = f"<p>… {len(self) - len(shown):,} more rows</p>" if len(self) > len(shown) else ""
        return f"<p>{html.escape(str(self.coverage))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _load(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        told = f"{library} is not installed: `make install-dev` in Liandong's folder, or `pip install {library}`. `.rows` and `.to_arrow()` do without."
        raise ModuleNotFoundError(told, name=library) from error


def answer_of(content: bytes) -> Answer:
    """The answer that a whole Arrow stream is."""
    reading = Reading(pa.py_buffer(content))
    batches = list(iter(reading.batch, None))
    about = {name: value for name, value in reading.described.items() if name not in ("coverage", "columns")}
    return Answer(pa.Table.from_batches(batches, reading.schema), reading.coverage, reading.described.get("columns", ()), about)
