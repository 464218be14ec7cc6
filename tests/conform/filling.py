"""Rows made up from the declarations of a service, so that every dataset has something to be asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from sqlalchemy import Boolean, Column, Date, DateTime, Float, Integer, Table
from sqlalchemy.dialects.postgresql import JSONB

from shared.areas import Box
from shared.config import Settings
from shared.service import Service
from tests.city import City

ROWS = 23
BEGAN = datetime(2026, 11, 2, 15, tzinfo=UTC)
OWN = {"recorded_at", "id_serial"}


def fill(city: City, settings: Settings, service: Service) -> None:
    """Rows for each empty table of a dataset and those that it refers to; a table whose rules made-up rows do not meet stays empty."""
    values: dict[str, dict[str, tuple[str, ...]]] = {}
    for dataset in service.datasets:
        tables = {"": dataset.table.name} | {join.name: join.table.name for join in dataset.joins}
        for field in dataset.fields:
            join, _, column = (field.column or field.name).rpartition(".")
            values.setdefault(tables[join], {})[column] = field.values
    for table in service.metadata.sorted_tables:
        if table.name.endswith("_history") or "made_of" in table.info or city.sql(settings, f"SELECT 1 FROM {table.name} LIMIT 1"):
            continue
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            _insert(city, settings, table, values.get(table.name, {}))


def _insert(city: City, settings: Settings, table: Table, permitted: Mapping[str, tuple[str, ...]]) -> None:
    columns = [column for column in table.columns if column.name not in OWN and column.identity is None and column.computed is None]
    rows = [{column.name: _value(column, number, permitted) for column in columns} for number in range(ROWS)]
    names = ", ".join(column.name for column in columns)
    kinds = ", ".join(f"r.{column.name}" for column in columns)
    city.sql(settings, f"INSERT INTO {table.name} ({names}) SELECT {kinds} FROM json_populate_recordset(NULL::{table.name}, $1::json) AS r", json.dumps(rows))


def _value(column: Column[Any], number: int, permitted: Mapping[str, tuple[str, ...]]) -> Any:
    if column.foreign_keys:
        return _value(next(iter(column.foreign_keys)).column, number, {})
    if codes := permitted.get(column.name):
        return codes[number % len(codes)]
    if column.name == "area":
        return ("430302", "430304")[number % 2]
    west, south = 112.8 + number / 100, 27.8 + number % 5 / 100
    if column.name in ("lon", "lat"):
        return west if column.name == "lon" else south
    return _of_type(column, number, west, south)


def _of_type(column: Column[Any], number: int, west: float, south: float) -> Any:
    """A value by the column's type; some are null where they may be."""
    match column.type:
        case Box():
            return f"({west + 0.01},{south + 0.01}),({west},{south})"
        case JSONB():
            ring = [[west, south], [west + 0.01, south], [west + 0.01, south + 0.01], [west, south + 0.01], [west, south]]
            return {"type": "Polygon", "coordinates": [ring]}
        case Boolean():
            return number % 2 == 0
        case Integer():
            return number + 1
        case Float():
            return None if column.nullable and number % 7 == 0 else number / 8
        case DateTime():
            return (BEGAN + timedelta(minutes=41 * number)).isoformat()
        case Date():
            return (BEGAN + timedelta(days=number)).date().isoformat()
    return None if column.nullable and number % 9 == 0 else f"{column.name}-{number}"
