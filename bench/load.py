"""Observation loads through HTTP beside a bare COPY of the same batches: `python -m bench.load`.

Both by two clients, batches of 5,000 rows, each committed. The COPY is what `psql \\copy` sends, text made beforehand, into a table with the
columns, the key and the partitions of `observations` but no checks, no roll-ups, no history. The load is JSON or Arrow over HTTP into one env
process: token verified, rows parsed and validated, series resolved, corrections kept, hourly roll-ups current, answered after the commit.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import numpy as np
import orjson
import pyarrow as pa

from bench.servers import CITY, configure, database, postgres, process
from shared.testing import Issuer

BATCH, SERIES, CLIENTS, ROUNDS = 5_000, 1_000, 2, 3
PROPERTIES = ("pm25", "pm10", "so2", "no2", "o3", "temperature", "pressure", "wind_speed")
STATIONS = SERIES // len(PROPERTIES)
LEVEL = {"pm25": 30, "pm10": 60, "so2": 10, "no2": 35, "o3": 80, "temperature": 15, "pressure": 900, "wind_speed": 3}
COPIED = """
    CREATE TABLE copied (time timestamptz NOT NULL, value float8 NOT NULL, recorded_at timestamptz NOT NULL, series integer NOT NULL,
        quality smallint NOT NULL, recorded_by text NOT NULL, PRIMARY KEY (series, time)) PARTITION BY RANGE (time)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of data: how far apart values of a series are, how many rows, and what must be reached."""

    name: str
    step: timedelta
    batches: int
    must: float

    def station(self, number: int) -> str:
        return f"{self.name}-{number:03d}"


CASES = (Case("minute", timedelta(minutes=1), 60, 0.40), Case("hourly", timedelta(hours=1), 40, 0.25))
FORMS = {"JSON": "application/json", "Arrow": "application/vnd.apache.arrow.stream"}
Batch = tuple[bytes, bytes, bytes]
"""The same rows as JSON, Arrow, and the text of a COPY."""


def batches(case: Case, ids: dict[tuple[str, str], int]) -> list[Batch]:
    """All rows of a case in the order of time, as senders deliver them, ending yesterday."""
    rng = np.random.default_rng(20261122)
    steps = BATCH // SERIES
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1) - case.step * steps * case.batches
    made = []
    for number in range(case.batches):
        rows = []
        for step in range(steps):
            moment = (first + case.step * (number * steps + step)).isoformat().replace("+00:00", "Z")
            spread = rng.uniform(0.8, 1.2, (STATIONS, len(PROPERTIES)))
            for place in range(STATIONS):
                rows += [(case.station(place), name, moment, round(LEVEL[name] * float(spread[place, column]), 1)) for column, name in enumerate(PROPERTIES)]
        made.append((_json(rows), _arrow(rows), _text(rows, ids)))
    return made


Row = tuple[str, str, str, float]


def _json(rows: Sequence[Row]) -> bytes:
    return orjson.dumps([{"station": station, "property": name, "time": moment, "value": value} for station, name, moment, value in rows])


def _arrow(rows: Sequence[Row]) -> bytes:
    stations, names, moments, values = zip(*rows, strict=True)
    times = pa.array([datetime.fromisoformat(moment) for moment in moments], pa.timestamp("us", "UTC"))
    table = pa.table({"station": pa.array(stations), "property": pa.array(names), "time": times, "value": pa.array(values)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _text(rows: Sequence[Row], ids: dict[tuple[str, str], int]) -> bytes:
    lines = [f"{moment}\t{value}\t2026-11-22 08:00:00+00\t{ids[station, name]}\t1\tclient:env-system\n" for station, name, moment, value in rows]
    return "".join(lines).encode()


async def timed(work: Callable[[int, Batch], Awaitable[None]], made: Sequence[Batch]) -> float:
    """Rows per second when the clients take the batches in turn."""

    async def client(number: int) -> None:
        for batch in made[number::CLIENTS]:
            await work(number, batch)

    started = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return len(made) * BATCH / (time.perf_counter() - started)


async def copy(urls: dict[str, str], case: Case, made: Sequence[Batch]) -> float:
    """Rows per second of the bare COPY."""
    owner = await asyncpg.connect(urls["owner_url"])
    await owner.execute(f"DROP TABLE IF EXISTS copied; {COPIED}")
    month = (datetime.now(UTC) - timedelta(days=62)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(4):
        following = (month + timedelta(days=32)).replace(day=1)
        await owner.execute(f"CREATE TABLE copied_{month:%Y_%m} PARTITION OF copied FOR VALUES FROM ('{month}') TO ('{following}')")
        month = following
    connections = [await asyncpg.connect(urls["database_url"]) for _ in range(CLIENTS)]

    async def work(number: int, batch: Batch) -> None:
        await connections[number].copy_to_table("copied", source=io.BytesIO(batch[2]))

    speed = await timed(work, made)
    for connection in (*connections, owner):
        await connection.close()
    return speed


async def load(url: str, urls: dict[str, str], token: str, made: Sequence[Batch], form: int) -> float:
    """Rows per second through HTTP; every row must have been taken."""
    owner = await asyncpg.connect(urls["owner_url"])
    await owner.execute("TRUNCATE observations, observations_hourly, observations_history")
    await owner.close()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": list(FORMS.values())[form]}
    clients = [httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) for _ in range(CLIENTS)]
    keys = iter(range(10**9))

    async def work(number: int, batch: Batch) -> None:
        answer = await clients[number].post("/observations", content=batch[form], headers={"Idempotency-Key": f"{time.time_ns()}-{next(keys)}"})
        if answer.status_code != httpx.codes.OK or answer.json()["taken"] != BATCH:
            raise RuntimeError(answer.text[:1000])

    speed = await timed(work, made)
    for client in clients:
        await client.aclose()
    return speed


async def prepare(url: str, urls: dict[str, str], token: str) -> dict[tuple[str, str], int]:
    """Stations and series; the identifiers of the series."""
    owner = await asyncpg.connect(urls["owner_url"])
    await owner.execute("INSERT INTO areas (code, level, name_zh, kind, recorded_by) VALUES ('430302', 'district', '雨湖区', 'administrative', 'bench')")
    intervals = {case.station(number): case.step.total_seconds() for case in CASES for number in range(STATIONS)}
    stations = [{"code": code, "name_en": code, "area": "430302"} for code in intervals]
    series = [{"station": code, "property": name, "timing": "begin", "interval_s": interval} for code, interval in intervals.items() for name in PROPERTIES]
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False) as client:
        for path, rows in (("/stations", stations), ("/series", series)):
            (await client.put(path, json=rows)).raise_for_status()
    found = await owner.fetch("SELECT feature, property, id FROM series")
    await owner.close()
    return {(row["feature"], row["property"]): row["id"] for row in found}


def show_profile(path: Path, top: int = 30) -> None:
    """Where the env process spent its processor time: the share of the samples during which a function was at work, callees included."""
    found = json.loads(path.read_text(encoding="utf-8"))
    ours = [(name, count) for name, count in found["within"] if name.startswith(("shared/", "services/", "asyncpg/", "sqlalchemy/engine", "uvicorn/protocols"))]
    for name, count in ours[:top]:
        print(f"  {count / found['samples']:6.1%}  {name}")


async def run(folder: Path, rounds: int, *, with_profile: bool) -> bool:
    """Print all ratios; whether all are reached."""
    reached = True
    async with postgres(folder) as admin_url:
        urls, issuer = await database(admin_url, "env"), Issuer()
        config = configure(folder, "env", urls, issuer)
        token = issuer.token(f"{CITY}/env", scope="env:read env:write", subject="client:env-system", lifetime_s=3600)
        async with process("env", config) as url:
            ids = await prepare(url, urls, token)
            for case in CASES:
                reached &= await compare(case, url, urls, token, batches(case, ids), rounds)
        for case in CASES if with_profile else ():
            samples = folder / f"{case.name}.samples"
            async with process("env", config, under=("-m", "bench.sampler", str(samples))) as url:
                await load(url, urls, token, batches(case, ids), 0)
            print(f"\nProfile of the env process, {case.name} data as JSON:")
            show_profile(samples)
    return reached


async def compare(case: Case, url: str, urls: dict[str, str], token: str, made: Sequence[Batch], rounds: int) -> bool:
    """Print the medians of some rounds in turn, and whether the ratio is reached in both formats."""
    speeds: dict[str, list[float]] = {"COPY": [], "JSON": [], "Arrow": []}
    for _ in range(rounds):
        speeds["COPY"].append(await copy(urls, case, made))
        for form, name in enumerate(FORMS):
            speeds[name].append(await load(url, urls, token, made, form))
    middle = {name: statistics.median(found) for name, found in speeds.items()}
    print(f"{case.name}: bare COPY {middle['COPY']:,.0f} rows/s")
    for name in FORMS:
        ratio = middle[name] / middle["COPY"]
        verdict = "reached" if ratio >= case.must else "NOT reached"
        print(f"{case.name}: {name} over HTTP {middle[name]:,.0f} rows/s = {ratio:.2f} of COPY; {case.must:.2f} {verdict}")
    return all(middle[name] / middle["COPY"] >= case.must for name in FORMS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="Observation loads through HTTP beside a bare COPY.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-profile", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)  # the server runs as another user
        if not asyncio.run(run(folder, arguments.rounds, with_profile=not arguments.no_profile)):
            raise SystemExit("A ratio was not reached.")


if __name__ == "__main__":
    main()
