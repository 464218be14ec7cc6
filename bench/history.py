"""How a table keeps its past: three designs and a table that keeps none, measured alike: `python -m bench.history`.

A million readings in five areas arrive by COPY in batches of 5,000, each committed; one row in twenty is corrected, 1,000 to a transaction; then
the mean by area and level is asked, as it is now and as it was known before the corrections. Everything runs in PostgreSQL over one
connection. Times are processor seconds of that connection's server process, so that other work on the machine does not count; questions are
medians of five rounds. All designs note each transaction in `changes`. `docs/adr/0004-history.md` draws the conclusion.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from bench.servers import database, postgres
from shared.datasets.history import keep_history_ddl

ROWS, BATCH, CORRECTED, CORRECTIONS, SINGLE, ROUNDS = 1_000_000, 5_000, 20, 1_000, 1_000, 5
COLUMNS = ("id", "area", "level", "time", "value", "recorded_by")
LIST = ", ".join(COLUMNS)
OLD = ", ".join(f"OLD.{column}" for column in COLUMNS)
BODY = "id bigint NOT NULL, area text NOT NULL, level integer NOT NULL, time timestamptz NOT NULL, value double precision NOT NULL, recorded_by text NOT NULL"
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment()"
NOTE = "CREATE TRIGGER note AFTER INSERT ON {0} FOR EACH STATEMENT EXECUTE FUNCTION note_change();"
SEEN = "{0} <= $1 AND {0} <> ALL (ARRAY(SELECT recorded_at FROM changes WHERE table_name = '{1}' AND tstzrange(recorded_at, committed_at) @> $1))"


@dataclass(frozen=True, slots=True)
class Design:
    """One way to keep versions: how the table is made, and from where it is read, now and as known at `$1`."""

    name: str
    table: str
    ddl: str
    now: str
    known: str | None
    relations: Sequence[str]
    current: str = "true"
    """What tells the current version of a row in `table t`."""


PLAIN = Design(
    "no history",
    "plain",
    f"CREATE TABLE plain ({BODY}, recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id))",
    "plain",
    None,
    ["plain"],
)
BESIDE = Design(
    "history table, statement triggers",
    "beside",
    f"CREATE TABLE beside ({BODY}, {RECORDED}, PRIMARY KEY (id)); {'; '.join(keep_history_ddl('beside'))}",
    "beside",
    f"""(SELECT {LIST} FROM beside WHERE {SEEN.format("recorded_at", "beside")} UNION ALL SELECT {LIST} FROM beside_history
         WHERE {SEEN.format("recorded_at", "beside")} AND NOT ({SEEN.format("superseded_at", "beside")}))""",
    ["beside", "beside_history"],
)
ROWWISE = Design(
    "history table, row triggers, clock per row",
    "rowwise",
    f"""CREATE TABLE rowwise ({BODY}, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (id));
        CREATE TABLE rowwise_history (superseded_at timestamptz NOT NULL, LIKE rowwise);
        CREATE INDEX ON rowwise_history (superseded_at);
        CREATE INDEX ON rowwise_history (id);
        CREATE FUNCTION rowwise_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.recorded_at := clock_timestamp();
            INSERT INTO rowwise_history SELECT NEW.recorded_at, OLD.*;
            RETURN NEW;
        END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON rowwise FOR EACH ROW EXECUTE FUNCTION rowwise_keep(); {NOTE.format("rowwise")}""",
    "rowwise",
    f"""(SELECT {LIST} FROM rowwise WHERE recorded_at <= $1 UNION ALL SELECT {LIST} FROM rowwise_history
         WHERE recorded_at <= $1 AND superseded_at > $1)""",
    ["rowwise", "rowwise_history"],
)
RANGES = Design(
    "one table, two validity columns",
    "ranges",
    f"""CREATE TABLE ranges ({BODY}, {RECORDED}, superseded_at timestamptz NOT NULL DEFAULT 'infinity');
        CREATE UNIQUE INDEX ON ranges (id) WHERE superseded_at = 'infinity';
        CREATE INDEX ON ranges (superseded_at) WHERE superseded_at < 'infinity';
        CREATE INDEX ON ranges (id) WHERE superseded_at < 'infinity';
        CREATE FUNCTION ranges_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.recorded_at := recorded_moment();
            INSERT INTO ranges ({LIST}, recorded_at, superseded_at) VALUES ({OLD}, OLD.recorded_at, NEW.recorded_at);
            RETURN NEW;
        END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON ranges FOR EACH ROW EXECUTE FUNCTION ranges_keep(); {NOTE.format("ranges")}""",
    f"(SELECT {LIST} FROM ranges WHERE superseded_at = 'infinity')",
    f"(SELECT {LIST} FROM ranges WHERE {SEEN.format('recorded_at', 'ranges')} AND NOT ({SEEN.format('superseded_at', 'ranges')}))",
    ["ranges"],
    "t.superseded_at = 'infinity'",
)
PERIOD = Design(
    "one table, key WITHOUT OVERLAPS",
    "period",
    f"""CREATE EXTENSION IF NOT EXISTS btree_gist;
        CREATE TABLE period ({BODY}, known tstzrange NOT NULL DEFAULT tstzrange(recorded_moment(), NULL), PRIMARY KEY (id, known WITHOUT OVERLAPS));
        CREATE FUNCTION period_renew() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.known := tstzrange(recorded_moment(), NULL);
            RETURN NEW;
        END $$;
        CREATE FUNCTION period_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO period ({LIST}, known) VALUES ({OLD}, tstzrange(lower(OLD.known), lower(NEW.known)));
            RETURN NULL;
        END $$;
        CREATE TRIGGER renew BEFORE UPDATE ON period FOR EACH ROW EXECUTE FUNCTION period_renew();
        CREATE TRIGGER keep AFTER UPDATE ON period FOR EACH ROW EXECUTE FUNCTION period_keep(); {NOTE.format("period")}""",
    f"(SELECT {LIST} FROM period WHERE upper_inf(known))",
    f"(SELECT {LIST} FROM period WHERE known @> $1::timestamptz)",
    ["period"],
    "upper_inf(t.known)",
)
DESIGNS = (PLAIN, BESIDE, ROWWISE, RANGES, PERIOD)


def readings(rows: int) -> list[tuple[Any, ...]]:
    """The same readings for every design."""
    draw = random.Random(1)
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    return [(n, f"43030{draw.randrange(1, 6)}", draw.randrange(9), begin + timedelta(seconds=n), draw.random() * 100, "bench") for n in range(rows)]


async def timed(connection: asyncpg.Connection, work: Callable[[], Awaitable[Any]]) -> float:
    """Processor seconds of the connection's server process."""
    server = psutil.Process(connection.get_server_pid())

    def spent() -> float:
        times = server.cpu_times()
        return float(times.user + times.system)

    before = spent()
    await work()
    return spent() - before


async def load(connection: asyncpg.Connection, design: Design, rows: list[tuple[Any, ...]]) -> None:
    for begin in range(0, len(rows), BATCH):
        await connection.copy_records_to_table(design.table, records=rows[begin : begin + BATCH], columns=COLUMNS)


async def correct(connection: asyncpg.Connection, design: Design, rows: int) -> None:
    """One row in twenty, scattered, by key: a statement and a transaction for each thousand."""
    keys = random.Random(2).sample(range(rows), rows // CORRECTED)
    statement = f"UPDATE {design.table} t SET value = -t.value FROM unnest($1::bigint[]) AS k(id) WHERE t.id = k.id AND {design.current}"
    for begin in range(0, len(keys), CORRECTIONS):
        await connection.execute(statement, keys[begin : begin + CORRECTIONS])


async def insert_singly(connection: asyncpg.Connection, design: Design, rows: int) -> None:
    statement = f"INSERT INTO {design.table} ({LIST}) VALUES ($1, '430302', 1, now(), 1, 'bench')"
    for n in range(SINGLE):
        await connection.execute(statement, rows + n)


async def ask(connection: asyncpg.Connection, source: str, *moment: datetime) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await connection.fetch(f"SELECT area, level, count(*), avg(value) FROM {source} AS t GROUP BY 1, 2 ORDER BY 1, 2", *moment)
    return found


async def asked(connection: asyncpg.Connection, source: str, *moment: datetime) -> str:
    """How long the question takes, median."""
    return f"{statistics.median([await timed(connection, lambda: ask(connection, source, *moment)) for _ in range(ROUNDS)]) * 1000:.0f} ms"


async def measure(connection: asyncpg.Connection, design: Design, rows: list[tuple[Any, ...]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """One line of the table, and the answer as known before the corrections, which must be the same for all."""
    await connection.execute(design.ddl)
    loading = await timed(connection, lambda: load(connection, design, rows))
    known = await ask(connection, design.now)
    moment = await connection.fetchval("SELECT settled_moment(clock_timestamp())")
    correcting = await timed(connection, lambda: correct(connection, design, len(rows)))
    await connection.execute(f"VACUUM ANALYZE {', '.join(design.relations)}")
    size = await connection.fetchval("SELECT sum(pg_total_relation_size(r::regclass))::float8 FROM unnest($1::text[]) r", list(design.relations))
    figures = [f"{len(rows) / loading / 1000:.0f} k", f"{len(rows) / CORRECTED / correcting / 1000:.1f} k", f"{size / 1e6:.0f} MB"]
    figures += [await asked(connection, design.now), await asked(connection, design.known, moment) if design.known else "-"]
    if design.known:
        known = await ask(connection, design.known, moment)
    singly = await timed(connection, lambda: insert_singly(connection, design, len(rows))) / SINGLE
    return [design.name, *figures, f"{singly * 1000:.2f} ms"], [(*row[:3], round(row[3], 6)) for row in known]


async def main(rows: int) -> None:
    made = readings(rows)
    lines = [["design", "COPY rows/CPU s", "corrected/CPU s", "size", "mean now", "mean as known before", "one row, one commit"]]
    answers = []
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101 - PostgreSQL may run as another user, and no blocking path object belongs here
        async with postgres(Path(folder)) as admin_url:
            urls = await database(admin_url, "fire")
            connection = await asyncpg.connect(urls["owner_url"])
            await connection.execute("SET work_mem = '64MB'; SET max_parallel_workers_per_gather = 0")
            for design in DESIGNS:
                line, answer = await measure(connection, design, made)
                lines.append(line)
                answers.append(answer)
            await connection.close()
    if any(answer != answers[0] for answer in answers):
        raise SystemExit("The designs do not give the same answer as known before the corrections.")
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    print("\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    asyncio.run(main(parser.parse_args().rows))
