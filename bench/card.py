"""The on-site card's query beside a bare look-up by the same index: `python -m bench.card`.

100,000 inventories of 20,000 sites in a city of 50 x 50 km. The card: the one query of the route, all joins and JSON, for random points and 500 m.
The peer: the ids of the inventories at the sites in the same box, by the same GiST index, as one would write it by hand. Both over one connection of the
reader role, prepared, in turn, now the one first and now the other; one run, medians. The route over HTTP (token verified, answer validated) is printed beside.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from bench.servers import CITY, configure, database, postgres, process
from services.worksafety.card.domain import around
from services.worksafety.card.reading import card_query
from shared.caller import Caller
from shared.database import driver_url
from shared.testing import Issuer

SITES, UNITS, HELD, ROUNDS, RADIUS_M, MUST = 20_000, 2, 5, 300, 500.0, 3.0
WEST, SOUTH, WIDE = 112.5, 27.5, 0.5
FILL = f"""
    SELECT setseed(0.5);
    INSERT INTO enterprises (id, registry, number, name, area, recorded_by) SELECT 'b:' || i, 'b', i::text, 'e' || i, '430304', 'bench'
        FROM generate_series(1, {SITES}) i;
    INSERT INTO sites (id, registry, number, enterprise, name, exposed, area, lon, lat, recorded_by)
        SELECT 'b:' || i, 'b', i::text, 'b:' || i, 's' || i, (random() * 200)::int, '430304', {WEST} + {WIDE} * random(), {SOUTH} + {WIDE} * random(), 'bench'
        FROM generate_series(1, {SITES}) i;
    INSERT INTO units (id, site, number, name, kind, recorded_by) SELECT 'b:' || i || ':' || u, 'b:' || i, u::text, 'u', 'storage', 'bench'
        FROM generate_series(1, {SITES}) i, generate_series(1, {UNITS}) u;
    INSERT INTO substances (code, cas, un, name_zh, name_en, classes, critical_t, beta, edition, source, recorded_by)
        SELECT 'x' || i, i || '-00-0', (1000 + i)::text, 'z' || i, 'e' || i, ARRAY['W2'], 50, 1.5, 'bench', 'bench', 'bench' FROM generate_series(1, 85) i;
    INSERT INTO inventories (id, unit, site, substance, q_design, q_now, recorded_by)
        SELECT unit || ':x' || code, unit, site, 'x' || code, 10, 5, 'bench' FROM (
            SELECT 'b:' || i || ':' || (1 + h % {UNITS}) AS unit, 'b:' || i AS site, 1 + (i * 7 + h * 13) % 85 AS code
            FROM generate_series(1, {SITES}) i, generate_series(1, {HELD}) h
        ) made;
    INSERT INTO grades (unit, site, identified, s, alpha, r, grade, edition, recorded_by)
        SELECT id, site, true, 1, 1, 20, 3, 'GB 18218-2018', 'bench' FROM units;
"""
BARE = """
    SELECT i.id FROM sites s JOIN inventories i ON i.site = s.id
    WHERE point(s.lon, s.lat) <@ box(point($1::float8, $2::float8), point($3::float8, $4::float8))
"""
CALLER = Caller(subject="bench", audience=f"{CITY}/worksafety", scopes=frozenset({"hub:query"}), areas=("*",))


async def main() -> int:
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url:
            urls, issuer = await database(admin_url, "worksafety"), Issuer()
            await fill(urls["owner_url"])
            ratio = await compare(urls["reader_url"])
            token = issuer.token(f"{CITY}/worksafety", scope="hub:query", clearance={"grade": "important", "personal": "none"}, lifetime_s=3600)
            async with process("worksafety", configure(folder, "worksafety", urls, issuer)) as url:
                await over_http(url, token)
    return int(ratio > MUST)


async def fill(owner_url: str) -> None:
    owner = await asyncpg.connect(make_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await owner.execute(FILL)
        await owner.execute("VACUUM ANALYZE")
    finally:
        await owner.close()


def points() -> list[tuple[float, float]]:
    drawn = random.Random(1)
    return [(WEST + WIDE * drawn.random(), SOUTH + WIDE * drawn.random()) for _ in range(ROUNDS)]


def questions(lon: float, lat: float, dialect: Any) -> dict[str, list[Any]]:
    """What both are asked about a point; made before the clock runs."""
    made, box = card_query(lon, lat, RADIUS_M, CALLER).compile(dialect=dialect), around(lon, lat, RADIUS_M)
    return {"card": [made.params[name] for name in made.positiontup or ()], "bare": [box.west, box.south, box.east, box.north]}


async def compare(reader_url: str) -> float:
    """Medians of both in turn, and their ratio."""
    engine = create_async_engine(driver_url(reader_url))
    times: dict[str, list[float]] = {"card": [], "bare": []}
    rows = 0
    asked = [questions(lon, lat, engine.dialect) for lon, lat in points()]
    async with engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        statements = {
            "bare": await raw.prepare(BARE),
            "card": await raw.prepare(str(card_query(*points()[0], RADIUS_M, CALLER).compile(dialect=engine.dialect))),
        }
        for turn, arguments in enumerate(asked):
            for kind in sorted(statements, reverse=bool(turn % 2)):
                begun = time.perf_counter()
                found = await statements[kind].fetch(*arguments[kind])
                times[kind].append(1000 * (time.perf_counter() - begun))
                rows += len(found) if kind == "bare" else 0
    await engine.dispose()
    middle = {kind: statistics.median(taken) for kind, taken in times.items()}
    ratio = middle["card"] / middle["bare"]
    verdict = "kept" if ratio <= MUST else "MISSED"
    print(f"{SITES * HELD:,} inventories, {rows / ROUNDS:.0f} in the box on average, {ROUNDS} points")
    print(f"card's query {middle['card']:.2f} ms, bare look-up {middle['bare']:.2f} ms, ratio {ratio:.2f} (at most {MUST:g}: {verdict})")
    return ratio


async def over_http(url: str, token: str) -> None:
    taken = []
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False) as client:
        for lon, lat in points():
            begun = time.perf_counter()
            answer = await client.get("/on-site-card", params={"lon": lon, "lat": lat, "radius_m": RADIUS_M})
            answer.raise_for_status()
            taken.append(1000 * (time.perf_counter() - begun))
    print(f"over HTTP {statistics.median(taken):.1f} ms at the median, {sorted(taken)[int(0.99 * ROUNDS)]:.1f} ms at the 99th percentile")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
