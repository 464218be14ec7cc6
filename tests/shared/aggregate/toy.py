"""A small service with calls and visits, random rows for it, and what pandas says about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np
import pandas as pd
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, Numeric, Table, Text

from shared.config import Settings
from shared.database import new_metadata
from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.history import history_of, keep_history_ddl, recorded_columns
from shared.service import Service
from shared.vocabulary import Personal
from shared.vocabulary import Text as Words

metadata = new_metadata()
calls = Table(
    "calls",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("area", Text, nullable=False),
    Column("received_at", DateTime(timezone=True)),
    Column("kind", Text),
    Column("grade", Integer),
    Column("urgent", Boolean),
    Column("response_s", Double),
    Column("cost", Numeric(12, 2)),
    Column("caller_name", Text),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
)
history_of(calls)
visits = Table("visits", metadata, Column("id", BigInteger, primary_key=True), Column("day", Date), Column("score", Integer), *recorded_columns())


def _words(text: str) -> Words:
    return Words(text, text)


CALLS = Dataset(
    id="toy.calls",
    title=_words("Calls"),
    description=_words("Calls"),
    owner=_words("Toys"),
    table=calls,
    fields=(
        Field(name="id", type="integer", title=_words("Id")),
        Field(name="area", type="string", title=_words("Area")),
        Field(name="received_at", type="datetime", title=_words("Received")),
        Field(name="kind", type="string", title=_words("Kind")),
        Field(name="grade", type="integer", title=_words("Grade")),
        Field(name="urgent", type="boolean", title=_words("Urgent")),
        Field(name="response_s", type="number", title=_words("Response"), unit="s"),
        Field(name="cost", type="number", title=_words("Cost"), unit="CNY"),
        Field(name="caller_name", type="string", title=_words("Caller"), personal=Personal.PERSONAL),
    ),
    time="received_at",
    geometry=Point(),
)
VISITS = Dataset(
    id="toy.visits",
    title=_words("Visits"),
    description=_words("Visits"),
    owner=_words("Toys"),
    table=visits,
    fields=(
        Field(name="id", type="integer", title=_words("Id")),
        Field(name="day", type="date", title=_words("Day")),
        Field(name="score", type="integer", title=_words("Score")),
    ),
    time="day",
    area=None,
    smallest_group=3,
)
TOY = Service(name="toy", title=_words("Toy"), routers=[], metadata=metadata, datasets=[CALLS, VISITS])
DDL = tuple(statement for statement in keep_history_ddl("calls") if not statement.startswith("CREATE TABLE") and not statement.startswith("CREATE INDEX"))
"""Triggers and rights; the tables are made from the metadata."""

AREAS = {
    "43": {"province": "43"},
    "4303": {"province": "43", "city": "4303"},
    "430302": {"province": "43", "city": "4303", "district": "430302"},
    "430302001": {"province": "43", "city": "4303", "district": "430302", "town": "430302001"},
    "430371": {"province": "43", "city": "4303", "district": "430304"},  # a functional zone that the table puts elsewhere than its prefix
    "us-06075": {"city": "us-06075"},
    "us-06075-07": {"city": "us-06075", "district": "us-06075-07"},
}
UNKNOWN = ("430304", "430304003", "43040", "xx-1")
"""Codes that the area table lacks: by prefix where they are GB codes, unknown otherwise."""
_DIGITS = {"province": 2, "city": 4, "district": 6, "town": 9, "community": 12}


def rolled_up(code: str, level: str) -> str | None:
    """The area at a level that holds a code, or None."""
    if code in AREAS:
        return AREAS[code].get(level)
    return code[: _DIGITS[level]] if code.isdigit() and len(code) >= _DIGITS[level] else None


def random_calls(count: int, seed: int, first: str = "2025-10-20", days: int = 30) -> pd.DataFrame:
    """Calls with nulls everywhere, unknown areas, ties, negative and zero costs."""
    random = np.random.default_rng(seed)
    codes = [*AREAS, *UNKNOWN]

    def sometimes(values: Any, share: float = 0.1) -> list[Any]:
        return [None if missing else value for value, missing in zip(values, random.random(count) < share, strict=True)]

    start = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "area": [codes[position] for position in random.integers(0, len(codes), count)],
            "received_at": sometimes([start + timedelta(seconds=float(second)) for second in random.integers(0, days * 86_400, count)], 0.03),
            "kind": sometimes([("fire", "rescue", "false alarm", "火警")[position] for position in random.integers(0, 4, count)]),
            "grade": sometimes([int(grade) for grade in random.integers(1, 5, count)]),
            "urgent": sometimes([bool(flag) for flag in random.integers(0, 2, count)]),
            "response_s": sometimes([float(value) for value in np.exp(random.normal(6, 1, count))], 0.2),
            "cost": sometimes([round(float(value), 2) for value in np.where(random.random(count) < 0.1, 0, random.normal(0, 500, count))]),
            "caller_name": sometimes([f"P{number}" for number in random.integers(0, 50, count)]),
            "lon": random.uniform(112.5, 113.5, count),
            "lat": random.uniform(27.5, 28.5, count),
        },
        dtype=object,
    )


async def fill(settings: Settings, rows: pd.DataFrame) -> None:
    """Load calls and the area table."""
    assert settings.owner_url is not None
    connection = await asyncpg.connect(settings.owner_url.get_secret_value())
    try:
        levels = ["province", "city", "district", "town"]
        records = [(code, "district", code, "administrative", *(ancestors.get(level) for level in levels), "test") for code, ancestors in AREAS.items()]
        await connection.copy_records_to_table("areas", records=records, columns=["code", "level", "name_en", "kind", *levels, "recorded_by"])
        columns = [*rows.columns, "recorded_by"]
        await connection.copy_records_to_table("calls", records=[(*row, "test") for row in rows.itertuples(index=False)], columns=columns)
    finally:
        await connection.close()


def period(moment: datetime | None, unit: str, tz: str) -> str | None:
    """When the minute, hour, day, ISO week, month or year of a moment begins in a zone, as the answer writes it."""
    if moment is None or pd.isna(moment):
        return None
    zone = ZoneInfo(tz)
    local = moment.astimezone(zone)
    if unit in ("minute", "hour"):
        past = timedelta(minutes=local.minute if unit == "hour" else 0, seconds=local.second, microseconds=local.microsecond)
        return (moment - past).astimezone(zone).isoformat()
    day = local.date()
    day = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[unit]
    return datetime(day.year, day.month, day.day, tzinfo=zone).isoformat()


def keyed(rows: pd.DataFrame, by: dict[str, str], tz: str) -> pd.DataFrame:
    """The rows with a column for each dimension."""
    made = rows.copy()
    for name, of in by.items():
        kind, _, part = of.partition(":")
        if kind == "area" and part:
            made[f"by {name}"] = [rolled_up(code, part) for code in rows["area"]]
        elif kind == "time":
            made[f"by {name}"] = [period(moment, part, tz) for moment in rows["received_at"]]
        else:
            made[f"by {name}"] = rows[of]
    return made


def expected(rows: pd.DataFrame, by: dict[str, str], measures: dict[str, dict[str, Any]], tz: str) -> dict[tuple[Any, ...], list[Any]]:
    """What pandas computes: the values of each group."""
    names = [f"by {name}" for name in by]
    made = keyed(rows, by, tz)
    groups: Sequence[tuple[Any, pd.DataFrame]] = list(made.groupby(names, dropna=False)) if names else [((), made)]
    return {tuple(None if pd.isna(value) else value for value in key): [measured(part, spec) for spec in measures.values()] for key, part in groups}


def measured(part: pd.DataFrame, spec: dict[str, Any]) -> Any:
    if "field" not in spec:
        return len(part)
    values = part[spec["field"]].dropna()
    if spec["fn"] in ("count", "distinct"):
        return int(values.count() if spec["fn"] == "count" else values.nunique())
    if values.empty:
        return None
    if spec["fn"] in ("min", "max"):
        return values.min() if spec["fn"] == "min" else values.max()
    numbers = values.astype("int64" if spec["field"] == "grade" else "float64")
    if spec["fn"] == "quantile":
        return float(numbers.quantile(spec["q"], interpolation="lower"))
    found = {"sum": numbers.sum, "avg": numbers.mean, "stddev": numbers.std}[spec["fn"]]()
    return None if pd.isna(found) else found.item()
