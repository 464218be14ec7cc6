"""Aggregates through the contract beside the same GROUP BY in psql: `python -m bench.aggregate`.

A million calls of one week in 840 groups (five districts by the hour). The contract: one POST over HTTP to one fire process, token verified,
area table joined, finished JSON in the client's hands. The peer: the statement that one would write by hand, run by psql as the same
reader role on the same cluster, by psql's own `\\timing`, the result thrown away, after a first run to warm its session. In turn, medians.
Both must give the same groups, counts and means; quantiles must lie within their stated error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from sqlalchemy import make_url

from bench.servers import CITY, configure, database, postgres, process
from ops.postgres import binaries
from shared.datasets.aggregate.sketches import QUANTILE_ERROR
from shared.testing import Issuer

ROWS, ROUNDS = 1_000_000, 7
TZ = "Asia/Shanghai"
AREAS = """
    INSERT INTO areas (code, level, name_en, kind, province, city, district, town, community, recorded_by)
    SELECT code, level, code, 'administrative', left(code, 2), left(code, 4), CASE WHEN length(code) >= 6 THEN left(code, 6) END,
        CASE WHEN length(code) >= 9 THEN left(code, 9) END, CASE WHEN length(code) = 12 THEN code END, 'bench'
    FROM (
        SELECT '4303' AS code, 'city' AS level
        UNION ALL SELECT '43030' || d, 'district' FROM generate_series(1, 5) d
        UNION ALL SELECT '43030' || d || lpad(t::text, 3, '0'), 'town' FROM generate_series(1, 5) d, generate_series(1, 20) t
        UNION ALL SELECT '43030' || d || lpad(t::text, 3, '0') || lpad(c::text, 3, '0'), 'community'
            FROM generate_series(1, 5) d, generate_series(1, 20) t, generate_series(1, 40) c
    ) made
"""
CALLS = f"""
    INSERT INTO calls (id, registry, number, kind, priority, received_at, area, lon, lat, units, response_s, recorded_by)
    SELECT 'bench:' || i, 'bench', i::text, (ARRAY['structure_fire', 'medical', 'rescue', 'alarm'])[1 + floor(random() * 4)::int], '2',
        '2026-11-02 00:00+08'::timestamptz + random() * interval '7 days',
        '43030' || (1 + floor(random() * 5))::int || lpad((1 + floor(random() * 20))::int::text, 3, '0'),
        112.5 + random(), 27.5 + random(), 1 + floor(random() * 5)::int,
        CASE WHEN random() > 0.02 THEN exp(6 + 0.7 * random_normal()) END, 'bench'
    FROM generate_series(1, {ROWS}) i
"""
PERCENTILE = "percentile_disc(0.9) WITHIN GROUP (ORDER BY response_s)"
LOWER = "(array_agg(response_s ORDER BY response_s))[1 + floor(0.9 * (count(response_s) - 1))::int]"
"""percentile_disc rounds the rank up, the contract rounds it down."""
HOUR = f"date_trunc('hour', received_at, '{TZ}')"


@dataclass(frozen=True, slots=True)
class Case:
    """One question both ways, and how many times psql's time it may take."""

    name: str
    sql: str
    question: Mapping[str, Any]
    must: float | None
    error: float = 1e-9
    """How far the last column may be off, relative."""

    @property
    def check(self) -> str:
        """The statement that gives what the answer is compared with: the lower quantile as the contract defines it."""
        return self.sql.replace(PERCENTILE, LOWER)


BY_HOUR = {"by": {"district": "area:district", "hour": "time:hour"}, "tz": TZ}
COUNT = {"calls": {"fn": "count"}}
P90 = {"p90": {"fn": "quantile", "field": "response_s", "q": 0.9}}
CASES = (
    Case(
        "count and mean",
        f"SELECT left(area, 6), {HOUR}, count(*), avg(response_s) FROM calls GROUP BY 1, 2",
        BY_HOUR | {"measures": COUNT | {"mean": {"fn": "avg", "field": "response_s"}}},
        must=1.3,
    ),
    Case(
        "count and 90th percentile",
        f"SELECT left(area, 6), {HOUR}, count(*), {PERCENTILE} FROM calls GROUP BY 1, 2",
        BY_HOUR | {"measures": COUNT | P90},
        must=1.5,
        error=QUANTILE_ERROR,
    ),
    Case(
        "count, mean, deviation and percentile",
        f"SELECT left(area, 6), {HOUR}, count(*), avg(response_s), stddev(response_s), {PERCENTILE} FROM calls GROUP BY 1, 2",
        BY_HOUR | {"measures": COUNT | {fn: {"fn": fn, "field": "response_s"} for fn in ("avg", "stddev")} | P90},
        must=1.5,
        error=QUANTILE_ERROR,
    ),
    Case(
        "days of a zone with summer time",
        "SELECT left(area, 6), date_trunc('day', received_at, 'America/Los_Angeles'), count(*), sum(units) FROM calls GROUP BY 1, 2",
        {"by": {"district": "area:district", "day": "time:day"}, "tz": "America/Los_Angeles", "measures": COUNT | {"units": {"fn": "sum", "field": "units"}}},
        must=1.3,
    ),
    Case(
        "one kind, by month",
        f"SELECT left(area, 6), date_trunc('month', received_at, '{TZ}'), count(*), max(response_s) FROM calls WHERE kind = 'rescue' GROUP BY 1, 2",
        {"by": {"district": "area:district", "month": "time:month"}, "tz": TZ, "filter": "kind = 'rescue'"}
        | {"measures": COUNT | {"most": {"fn": "max", "field": "response_s"}}},
        must=1.3,
    ),
    Case(
        "distinct towns (HyperLogLog beside an exact count)",
        f"SELECT left(area, 6), {HOUR}, count(*), count(DISTINCT area) FROM calls GROUP BY 1, 2",
        BY_HOUR | {"measures": COUNT | {"towns": {"fn": "distinct", "field": "area"}}},
        must=None,
        error=0.2,
    ),
)


def psql(url: str, sql: str) -> float:
    """Milliseconds that psql measures for the second run of a statement in its session."""
    address = make_url(url)
    command = [str(binaries() / "psql"), "-X", "-q", "-h", str(address.host), "-p", str(address.port), "-U", str(address.username), "-d", str(address.database)]
    script = f"SET timezone = 'UTC';\n\\o /dev/null\n{sql};\n\\timing on\n{sql};\n"
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=True, env={"PGPASSWORD": str(address.password)})
    return float(done.stdout.rpartition("Time: ")[2].split()[0])


async def http(client: httpx.AsyncClient, case: Case) -> tuple[float, list[list[Any]]]:
    """Milliseconds from the request to the parsed answer, and its rows."""
    started = time.perf_counter()
    answer = await client.post("/collections/fire.calls/aggregate", json=case.question)
    rows = json.loads(answer.raise_for_status().content)["rows"]
    return (time.perf_counter() - started) * 1000, rows


async def require_equal(url: str, case: Case, rows: list[list[Any]]) -> None:
    """Same groups, same counts, same values within the stated error."""
    connection = await asyncpg.connect(url)
    found = {(row[0], row[1]): list(row)[2:] for row in await connection.fetch(case.check)}
    await connection.close()
    answered = {(row[0], datetime.fromisoformat(row[1])): row[2:] for row in rows}
    if answered.keys() != found.keys():
        raise SystemExit(f"{case.name}: the groups differ.")
    for key, values in found.items():
        mine = answered[key]
        off = [abs(one - other) / abs(other) for one, other in zip(mine[1:], values[1:], strict=True)]
        if mine[0] != values[0] or max(off[:-1], default=0) > 1e-9 or off[-1] > case.error:
            raise SystemExit(f"{case.name}, {key}: {mine} instead of {values}.")


async def prepare(urls: Mapping[str, str]) -> None:
    owner = await asyncpg.connect(urls["owner_url"])
    for statement in ("SELECT setseed(0.42)", AREAS, CALLS, "VACUUM ANALYZE areas", "VACUUM ANALYZE calls"):
        await owner.execute(statement)
    await owner.close()


async def run(rounds: int) -> bool:
    reached = True
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url:
            urls, issuer = await database(admin_url, "fire"), Issuer()
            await prepare(urls)
            headers = {"Authorization": f"Bearer {issuer.token(f'{CITY}/fire', scope='fire:read', lifetime_s=3600)}"}
            async with (
                process("fire", configure(folder, "fire", urls, issuer)) as url,
                httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client,
            ):
                for case in CASES:
                    reached &= await compare(case, client, urls["reader_url"], rounds)
    return reached


async def compare(case: Case, client: httpx.AsyncClient, reader_url: str, rounds: int) -> bool:
    """Print the medians of some rounds in turn, and whether the ratio is reached."""
    _, rows = await http(client, case)
    await require_equal(reader_url, case, rows)
    times: dict[str, list[float]] = {"psql": [], "http": []}
    for _ in range(rounds):
        times["psql"].append(await asyncio.to_thread(psql, reader_url, case.sql))
        times["http"].append((await http(client, case))[0])
    middle = {name: statistics.median(found) for name, found in times.items()}
    ratio = middle["http"] / middle["psql"]
    verdict = "no bound" if case.must is None else f"must be at most {case.must}: {'yes' if ratio <= case.must else 'NO'}"
    print(f"{case.name}: {len(rows)} groups, contract over HTTP {middle['http']:,.0f} ms, psql {middle['psql']:,.0f} ms, ratio {ratio:.2f} ({verdict})")
    return case.must is None or ratio <= case.must


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.aggregate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    if not asyncio.run(run(parser.parse_args().rounds)):
        raise SystemExit("A ratio was not reached.")


if __name__ == "__main__":
    main()
