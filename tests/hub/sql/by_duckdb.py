"""The same rows in one DuckDB, for comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

TYPES = {
    "calls": {
        "id": "VARCHAR",
        "area": "VARCHAR",
        "received_at": "TIMESTAMPTZ",
        "kind": "VARCHAR",
        "response_s": "DOUBLE",
        "units": "BIGINT",
        "_source": "VARCHAR",
    },
    "readings": {"id": "VARCHAR", "area": "VARCHAR", "time": "TIMESTAMPTZ", "value": "DOUBLE"},
}


def database(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """Tables by `schema.name`, in the city's zone."""
    found = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "512MB"})
    found.execute("SET TimeZone = 'Asia/Shanghai'")
    for name, rows in tables.items():
        schema, _, table = name.partition(".")
        types = TYPES[table]
        found.register("given", pa.table({column: [row[column] for row in rows] for column in types}))
        found.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {name} AS SELECT {', '.join(f'{c}::{t} AS {c}' for c, t in types.items())} FROM given")
        found.unregister("given")
    return found


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(_plain(value) for value in row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def same(found: Iterable[tuple[Any, ...]], expected: Iterable[tuple[Any, ...]], *, ordered: bool) -> bool:
    """Whether rows are the same, in any order unless `ordered`; floating numbers up to the order of their addition."""
    one, other = list(found), list(expected)
    if not ordered:
        one, other = sorted(one, key=_key), sorted(other, key=_key)
    return len(one) == len(other) and all(len(a) == len(b) and all(map(_equal, a, b)) for a, b in zip(one, other, strict=True))


def _key(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is None, "" if value is None else f"{value:.6e}" if isinstance(value, int | float) else str(value)) for value in row)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return bool(a == b)
