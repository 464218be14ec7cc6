"""The rows of the databases, made on the server itself, in the order of time as they would have come."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from bench.federation.sector import CATEGORIES, SIX, TWELVE, tables_of

JOINED, STATIONS = 1_000_000, 60
MOST_SPREAD = 5_000_000
YEAR = "'2025-10-01 00:00+08'::timestamptz"
DAY = "2026-03-10"
"""A day in the middle."""
DISTRICTS, TOWNS = 5, 20
AREA = f"'43030' || (1 + floor(random() * {DISTRICTS}))::int || lpad((1 + floor(random() * {TOWNS}))::int::text, 3, '0')"
AREAS = f"""
    INSERT INTO areas (code, level, name_en, kind, province, city, district, town, recorded_by)
    SELECT code, level, code, 'administrative', left(code, 2), left(code, 4), CASE WHEN length(code) >= 6 THEN left(code, 6) END,
        CASE WHEN length(code) = 9 THEN code END, 'bench'
    FROM (
        SELECT '4303' AS code, 'city' AS level
        UNION ALL SELECT '43030' || d, 'district' FROM generate_series(1, {DISTRICTS}) d
        UNION ALL SELECT '43030' || d || lpad(t::text, 3, '0'), 'town' FROM generate_series(1, {DISTRICTS}) d, generate_series(1, {TOWNS}) t
    ) made
    ON CONFLICT DO NOTHING
"""
SERIES = f"""
    INSERT INTO series (feature, property, unit, timing, interval_s, hour_needs, timezone, whole_hours, name_en, area, recorded_by)
    SELECT 'station-' || s, 'pm25', 'ug/m3', 'begin', 60, 45, 'Asia/Shanghai', true, 'Station ' || s,
        '43030' || (1 + s % {DISTRICTS}) || lpad((1 + s % {TOWNS})::text, 3, '0'), 'bench'
    FROM generate_series(1, {STATIONS}) s
"""
PARTITIONS = "SELECT make_observation_partition(m::date) FROM generate_series('2025-09-01'::timestamp, '2026-09-01', interval '1 month') m"
HOURLY = """
    INSERT INTO observations_hourly (series, hour, count, sum, mean, m2, min, max)
    SELECT series, date_trunc('hour', time, 'UTC'), count(*), sum(value), avg(value), var_pop(value) * count(*), min(value), max(value)
    FROM observations WHERE quality <= 3 GROUP BY 1, 2 ORDER BY 2, 1
"""


def _events(table: str, rows: int) -> str:
    categories = ", ".join(f"'{name}'" for name in CATEGORIES)
    return f"""
        INSERT INTO {table} (id, time, value, area, category, recorded_by)
        SELECT i, {YEAR} + (i - random()) * (interval '365 days' / {rows}), round(exp(4 + 0.7 * random_normal())::numeric, 2)::float8, {AREA},
            (ARRAY[{categories}])[1 + floor(random() * {len(CATEGORIES)})::int], 'client:bench-system'
        FROM generate_series(1, {rows}) i
    """


def _readings(rows: int) -> str:
    """A value of every station each minute, for as long as the rows last."""
    return f"""
        INSERT INTO observations (series, time, value, quality, recorded_by)
        SELECT s.id, {YEAR} + minute * interval '1 minute', round((30 * exp(0.5 * random_normal()))::numeric, 1)::float8,
            CASE WHEN random() < 0.001 THEN 4 ELSE 1 END, 'client:bench-system'
        FROM generate_series(0, {rows // STATIONS - 1}) minute, series s ORDER BY minute, s.id
    """


def spread_rows(rows: int) -> int:
    """How many rows are spread over more and more sources: as many as the six databases have together."""
    return min(len(SIX) * rows, MOST_SPREAD)


def wanted(name: str, rows: int, parts: frozenset[str]) -> dict[str, int]:
    """Which tables of a sector are to have how many rows, for the parts of the benchmark that run."""
    asked: dict[str, int] = {}
    for table in tables_of(name):
        if table == "events" and parts & {"groups", "small"}:
            asked[table] = rows
        elif table.startswith("spread") and "spread" in parts:
            asked[table] = spread_rows(rows) // int(table.removeprefix("spread"))
        elif table in ("checks", "premises") and "join" in parts:
            asked[table] = JOINED
    return asked | ({"observations": rows} if name in SIX and "rollups" in parts else {})


async def fill(name: str, owner_url: str, asked: Mapping[str, int], kept: Path) -> None:
    """Fill the tables of one sector that do not have their rows yet; `kept` remembers which do."""
    done: dict[str, int] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    owner = await asyncpg.connect(owner_url)
    try:
        await owner.execute("SET synchronous_commit = off; SET work_mem = '256MB'")
        await owner.execute(AREAS)
        for table, rows in asked.items():
            if done.get(table) != rows:
                await _fill_one(owner, name, table, rows)
                done[table] = rows
                kept.write_text(json.dumps(done), encoding="utf-8")
    finally:
        await owner.close()


async def _fill_one(owner: asyncpg.Connection, name: str, table: str, rows: int) -> None:
    seed = zlib.crc32(f"{name} {table}".encode()) / 2**32
    await owner.execute(f"SELECT setseed({seed}); TRUNCATE {table}")
    if table != "observations":
        await owner.execute(_events(table, rows))
    else:
        await owner.execute("TRUNCATE series, observations_hourly")
        await owner.execute(PARTITIONS)
        await owner.execute(SERIES)
        await owner.execute(_readings(rows))
        await owner.execute(HOURLY)
        await owner.execute("VACUUM (ANALYZE) series")
        await owner.execute("VACUUM (ANALYZE) observations_hourly")
    await owner.execute(f"VACUUM (ANALYZE) {table}")


async def fill_all(owner_urls: Mapping[str, str], rows: int, parts: frozenset[str], folder: Path) -> None:
    """Two sectors at a time."""
    turns = asyncio.Semaphore(2)

    async def one(name: str) -> None:
        async with turns:
            await fill(name, owner_urls[name], wanted(name, rows, parts), folder / f"{name}.filled.json")

    await asyncio.gather(*(one(name) for name in TWELVE if name in owner_urls))
