"""All rows of a dataset through the contract beside the same statement by psql's binary COPY: `python -m bench.streams`.

A million calls. The contract: `GET …/items?stream=true` over HTTP to one fire process, token verified, parsed Arrow in the client's hands. The peer:
`COPY (the very statement that the service runs) TO STDOUT (FORMAT binary)` by psql as the same reader role, thrown away. In turn, medians.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pyarrow as pa
from sqlalchemy import make_url

from bench.aggregate import ROWS, prepare
from bench.servers import CITY, configure, database, postgres, process
from ops.postgres import binaries
from services.fire.datasets import CALLS
from shared.caller import Caller
from shared.datasets.bulk_rows import Layout
from shared.datasets.bulk_sql import as_text, rows_statement
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import view
from shared.testing import Issuer

ROUNDS = 5
CALLER = Caller(subject="bench", audience=f"{CITY}/fire", scopes=frozenset({"fire:read"}), areas=("*",))
CASES: dict[str, dict[str, str]] = {
    "all fields": {},
    "four fields": {"properties": "area,received_at,kind,response_s", "skipGeometry": "true"},
    "one kind, sorted": {"filter": "kind = 'rescue'", "sortby": "received_at"},
}


def statement(parameters: dict[str, str]) -> str:
    """What the service runs for these parameters."""
    seen = view(CALLS, CALLER)
    query = RecordQuery.read(parameters.items(), CALLS, seen.fields)
    return as_text(rows_statement(seen, query, Layout.of(seen, query.chosen(), "table").read))


def psql(url: str, sql: str) -> float:
    """Seconds that psql takes, its start included, which is a few milliseconds."""
    address = make_url(url)
    command = [str(binaries() / "psql"), "-X", "-q", "-h", str(address.host), "-p", str(address.port), "-U", str(address.username), "-d", str(address.database)]
    started = time.perf_counter()
    text = f"COPY ({sql}) TO STDOUT (FORMAT binary)"
    subprocess.run([*command, "-c", text], stdout=subprocess.DEVNULL, check=True, env={"PGPASSWORD": str(address.password)})
    return time.perf_counter() - started


def stream(client: httpx.Client, parameters: dict[str, str]) -> tuple[float, int]:
    """Seconds from the request to the last parsed row, and the rows."""
    started = time.perf_counter()
    with client.stream("GET", "/collections/fire.calls/items", params={"stream": "true", "f": "arrow", **parameters}) as answer:
        content = b"".join(answer.iter_raw())
    rows = pa.ipc.open_stream(content).read_all().num_rows
    return time.perf_counter() - started, rows


async def run() -> None:
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url:
            urls, issuer = await database(admin_url, "fire"), Issuer()
            await prepare(urls)
            headers = {"Authorization": f"Bearer {issuer.token(f'{CITY}/fire', scope='fire:read', lifetime_s=3600)}"}
            async with process("fire", configure(folder, "fire", urls, issuer)) as url:
                with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
                    for name, parameters in CASES.items():
                        await asyncio.to_thread(compare, client, urls["reader_url"], name, parameters)


def compare(client: httpx.Client, reader_url: str, name: str, parameters: dict[str, str]) -> None:
    sql = statement(parameters)
    _, rows = stream(client, parameters)
    times = [(psql(reader_url, sql), stream(client, parameters)[0]) for _ in range(ROUNDS)]
    copied, streamed = (statistics.median(part) for part in zip(*times, strict=True))
    figures = f"stream {streamed:.2f} s, {rows / streamed:,.0f} rows/s; COPY by psql {copied:.2f} s; ratio {streamed / copied:.2f}"
    sys.stdout.write(f"{name}: {rows:,} of {ROWS:,} rows; {figures}\n")


if __name__ == "__main__":
    asyncio.run(run())
