"""Sources played by one DuckDB that holds all rows: a plan carried out without any service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from services.hub.sql.bounds import with_keys
from services.hub.sql.domain import Groups, Plan, Rows

_AGGREGATES = {"count": "count({0})", "sum": "sum({0})", "min": "min({0})", "max": "max({0})", "stddev": "stddev_samp({0})"}


def carry_out(plan: Plan, database: duckdb.DuckDBPyConnection) -> pa.Table:
    """The answer that a plan gives: each scan as its source would answer it, then the rest."""
    for scan in sorted(plan.scans, key=lambda scan: isinstance(scan, Rows) and scan.bound is not None):
        bound = scan.bound if isinstance(scan, Rows) else None
        if isinstance(scan, Rows) and bound is not None:
            keys = database.sql(f'SELECT DISTINCT {bound.by} FROM "{bound.other}" WHERE {bound.by} IS NOT NULL').fetchall()
            scan = replace(scan, filter=with_keys(scan, [key for (key,) in keys]))  # noqa: PLW2901
        database.execute(f'CREATE OR REPLACE TEMP TABLE "{scan.name}" AS {_asked(scan)}')
    return database.sql(plan.sql).to_arrow_table()


def _asked(scan: Rows | Groups) -> str:
    where = f" WHERE {as_sql(scan.filter)}" if scan.filter is not None else ""
    if isinstance(scan, Rows):
        limit = f" LIMIT {scan.limit}" if scan.limit is not None else ""
        return f"SELECT {', '.join(scan.columns) or 'id'} FROM {scan.dataset}{where}{limit}"
    keys = [f"{_dimension(of)} AS {name}" for name, of in scan.by.items()]
    measures = [f"{_measure(spec)} AS {name}" for name, spec in scan.measures.items()]
    group = f" GROUP BY {', '.join(str(place + 1) for place in range(len(keys)))}" if keys else ""
    return f"SELECT {', '.join([*keys, *measures])} FROM {scan.dataset}{where}{group}"


def _dimension(of: str) -> str:
    kind, _, unit = of.partition(":")
    return f"date_trunc('{unit}', received_at)" if kind == "time" else of


def _measure(spec: Mapping[str, Any]) -> str:
    return _AGGREGATES[spec["fn"]].format(spec.get("field", "*"))


def as_sql(node: Any) -> str:
    """CQL2 JSON as the SQL that it means."""
    match node:
        case {"op": "and" | "or" as op, "args": args}:
            return "(" + f" {op} ".join(map(as_sql, args)) + ")"
        case {"op": "not", "args": [arg]}:
            return f"(NOT {as_sql(arg)})"
        case {"op": "isNull", "args": [arg]}:
            return f"({as_sql(arg)} IS NULL)"
        case {"op": "between", "args": [value, low, high]}:
            return f"({as_sql(value)} BETWEEN {as_sql(low)} AND {as_sql(high)})"
        case {"op": "in", "args": [value, choices]}:
            return f"({as_sql(value)} IN ({', '.join(map(as_sql, choices))}))"
        case {"op": "like", "args": [value, pattern]}:
            return f"({as_sql(value)} LIKE {as_sql(pattern)} ESCAPE '\\')"
        case {"op": op, "args": [left, right]}:
            return f"({as_sql(left)} {op} {as_sql(right)})"
    return _leaf(node)


def _leaf(node: Any) -> str:
    match node:
        case {"property": name}:
            return str(name)
        case {"timestamp": text}:
            return f"TIMESTAMPTZ '{text}'"
        case {"date": text}:
            return f"DATE '{text}'"
        case str():
            return "'" + node.replace("'", "''") + "'"
    return repr(node)
