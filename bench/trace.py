"""A lot traced through a million movements, beside the same recursion in psql: `python -m bench.trace`.

Chains of six transformations that mix and split, with shipments and sales. The service: one GET /trace over HTTP to one food process, token verified, amounts,
faults and rights worked out, finished JSON in the client's hands. The peer: the recursion with the steps, their shares and the movements, lots and premises
that it finds, as one would write it by hand, run by psql as the same reader role on the same cluster, by psql's own `\\timing`, the result thrown away, after
a first run to warm its session. In turn, medians. Both must find the same lots. A trace of a few dozen lots costs little else than the request itself, so
it has no bound.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from bench.aggregate import psql
from bench.servers import CITY, configure, database, postgres, process
from shared.testing import Issuer

ROUNDS, MUST = 7, 2.0
LOTS, LAYERS = 163_002, 6
"""Lots in all, in layers of equal size; each but those of the first layer is made of lots of the layer before."""
ADDITIVES = 100
"""Lots of the first layer that go into every hundredth transformation of the next."""
IN_LAYER = LOTS // (LAYERS + 1)
PREMISES = """
    INSERT INTO premises (id, registry, number, name, kind, area, recorded_by)
    SELECT 'b:p' || i, 'b', 'p' || i, 'p' || i, 'production', '43030' || 1 + i % 5, 'bench' FROM generate_series(0, 1999) i
    UNION ALL SELECT 'b:shop', 'b', 'shop', 'shop', 'retail', '430301', 'bench'
"""
LOTS_SQL = f"""
    INSERT INTO lots (id, registry, number, product, premises, quantity, unit, recorded_by)
    SELECT 'b:' || layer || '-' || i, 'b', layer || '-' || i, 'cereal.rice', 'b:p' || (i * 7 + layer) % 2000, 100, 'kg', 'bench'
    FROM generate_series(0, {LAYERS}) layer, generate_series(0, {IN_LAYER - 1}) i
"""
INPUTS = f"""
    INSERT INTO movements (id, registry, number, kind, event, at, lot, premises, quantity, recorded_by)
    SELECT 'b:i' || layer || '-' || e || '-' || k, 'b', 'i' || layer || '-' || e || '-' || k, 'input', 'b:e' || layer || '-' || e,
        '2026-11-01 00:00+08'::timestamptz + layer * interval '1 day',
        'b:' || layer - 1 || '-' || CASE WHEN layer = 1 AND k = 2 THEN e % {ADDITIVES} ELSE (2 * e + k) % {IN_LAYER} END,
        'b:p' || (e * 7 + layer) % 2000, 100.0 / 4, 'bench'
    FROM generate_series(1, {LAYERS}) layer, generate_series(0, {IN_LAYER // 2 - 1}) e, generate_series(0, 2) k
"""
OUTPUTS = f"""
    INSERT INTO movements (id, registry, number, kind, event, at, lot, premises, quantity, recorded_by)
    SELECT 'b:o' || layer || '-' || e || '-' || k, 'b', 'o' || layer || '-' || e || '-' || k, 'output', 'b:e' || layer || '-' || e,
        '2026-11-01 02:00+08'::timestamptz + layer * interval '1 day',
        'b:' || layer || '-' || 2 * e + k, 'b:p' || ((2 * e + k) * 7 + layer) % 2000, 100, 'bench'
    FROM generate_series(1, {LAYERS}) layer, generate_series(0, {IN_LAYER // 2 - 1}) e, generate_series(0, 1) k
"""
HANDED_OVER = """
    INSERT INTO movements (id, registry, number, kind, event, at, lot, premises, partner, quantity, recorded_by)
    SELECT 'b:' || kind || number, 'b', kind || number, kind, 'b:' || kind || number, '2026-11-10 00:00+08',
        id, CASE WHEN kind = 'ship' THEN premises ELSE 'b:shop' END, CASE WHEN kind = 'ship' THEN 'b:shop' ELSE premises END, 10, 'bench'
    FROM lots, (VALUES ('ship'), ('receive')) kinds (kind)
"""
SOLD = """
    INSERT INTO movements (id, registry, number, kind, event, at, lot, premises, quantity, recorded_by)
    SELECT 'b:s' || k || '-' || number, 'b', 's' || k || '-' || number, 'sell', 'b:s' || k || '-' || number, '2026-11-11 00:00+08', id, 'b:shop', 5, 'bench'
    FROM lots, generate_series(0, 1) k
"""
RECURSION = """
    WITH RECURSIVE reached (lot, depth) AS (
        SELECT CAST('{lot}' AS text) COLLATE "C", 0
        UNION
        SELECT o.lot, r.depth + 1 FROM reached r
        JOIN movements i ON i.lot = r.lot AND i.kind = '{into}' JOIN movements o ON o.event = i.event AND o.kind = '{out}'
        WHERE r.depth < 20
    )
"""
FOUND = RECURSION + "SELECT DISTINCT lot FROM reached"
PEER = (
    RECURSION
    + """, found AS MATERIALIZED (SELECT lot, min(depth) AS depth FROM reached GROUP BY lot)
    SELECT 'step' AS kind, i.lot, f.depth, l.product, l.unit, o.lot AS other, i.event, p.name, p.area, p.lon, p.lat, o.at,
        i.quantity * o.quantity / sum(o.quantity) OVER (PARTITION BY i.event, i.lot) AS quantity
    FROM found f JOIN lots l ON l.id = f.lot JOIN movements i ON i.lot = f.lot AND i.kind = 'input'
    JOIN movements o ON o.event = i.event AND o.kind = 'output' JOIN premises p ON p.id = o.premises
    UNION ALL
    SELECT m.kind, m.lot, f.depth, l.product, l.unit, r.name, m.event, p.name, p.area, p.lon, p.lat, m.at, m.quantity
    FROM found f JOIN lots l ON l.id = f.lot JOIN movements m ON m.lot = f.lot AND m.kind NOT IN ('input', 'output') JOIN premises p ON p.id = m.premises
    LEFT JOIN premises r ON r.id = m.partner
"""
)


@dataclass(frozen=True, slots=True)
class Case:
    """A trace of one lot in one direction."""

    name: str
    lot: str
    direction: str
    must: float | None = None

    def sql(self, statement: str) -> str:
        into, out = ("input", "output") if self.direction == "forward" else ("output", "input")
        return statement.format(lot=self.lot, into=into, out=out)


CASES = (
    Case("forward from an additive that is in thousands of lots", "b:0-5", "forward", MUST),
    Case("forward from an origin", "b:0-5000", "forward"),
    Case("back from a last product", f"b:{LAYERS}-5000", "back"),
    Case("forward from the middle", f"b:{LAYERS // 2}-5000", "forward"),
)


async def http(client: httpx.AsyncClient, case: Case) -> tuple[float, dict[str, Any]]:
    """Milliseconds from the request to the last byte of the answer, and the answer. Neither side is timed while it reads what it got."""
    started = time.perf_counter()
    answer = await client.get("/trace", params={"lot": case.lot, "direction": case.direction, "limit": 20_000})
    taken_ms = (time.perf_counter() - started) * 1000
    found: dict[str, Any] = orjson.loads(answer.raise_for_status().content)
    return taken_ms, found


async def require_equal(url: str, case: Case, found: Mapping[str, Any]) -> None:
    """The same lots, not truncated."""
    connection = await asyncpg.connect(url)
    expected = {row["lot"] for row in await connection.fetch(case.sql(FOUND))}
    await connection.close()
    if {each["id"] for each in found["lots"]} != expected or found["truncated"]:
        raise SystemExit(f"{case.name}: {len(found['lots'])} lots instead of {len(expected)}.")


async def prepare(urls: Mapping[str, str]) -> int:
    owner = await asyncpg.connect(urls["owner_url"])
    for statement in (PREMISES, LOTS_SQL, INPUTS, OUTPUTS, HANDED_OVER, SOLD, "VACUUM ANALYZE premises", "VACUUM ANALYZE lots", "VACUUM ANALYZE movements"):
        await owner.execute(statement)
    count: int = await owner.fetchval("SELECT count(*) FROM movements")
    await owner.close()
    return count


async def run(rounds: int) -> bool:
    reached = True
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url:
            urls, issuer = await database(admin_url, "food"), Issuer()
            print(f"{await prepare(urls):,} movements of {LOTS:,} lots")
            headers = {"Authorization": f"Bearer {issuer.token(f'{CITY}/food', scope='food:read', lifetime_s=3600)}"}
            async with (
                process("food", configure(folder, "food", urls, issuer)) as url,
                httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as client,
            ):
                for case in CASES:
                    reached &= await compare(case, client, urls["reader_url"], rounds)
    return reached


async def compare(case: Case, client: httpx.AsyncClient, reader_url: str, rounds: int) -> bool:
    """Print the medians of some rounds in turn, and whether the ratio is reached."""
    _, found = await http(client, case)
    await require_equal(reader_url, case, found)
    times: dict[str, list[float]] = {"psql": [], "http": []}
    for _ in range(rounds):
        times["psql"].append(await asyncio.to_thread(psql, reader_url, case.sql(PEER)))
        times["http"].append((await http(client, case))[0])
    middle = {name: statistics.median(each) for name, each in times.items()}
    ratio = middle["http"] / middle["psql"]
    size = f"{len(found['lots'])} lots, {len(found['edges'])} steps, {len(found['movements'])} movements"
    verdict = "no bound" if case.must is None else f"must be at most {case.must}: {'yes' if ratio <= case.must else 'NO'}"
    print(f"{case.name}: {size}, GET /trace {middle['http']:,.1f} ms, psql {middle['psql']:,.1f} ms, ratio {ratio:.2f} ({verdict})")
    return case.must is None or ratio <= case.must


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.trace", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    if not asyncio.run(run(parser.parse_args().rounds)):
        raise SystemExit("A ratio was not reached.")


if __name__ == "__main__":
    main()
