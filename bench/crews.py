"""From the commit of a release to the hands of a unit's terminal, beside a bare XADD → XREAD hop: `python -m bench.crews`.

PostgreSQL, Redis, hub, worksafety, env, traffic and fire are processes of their own, on loopback, with a grid of 1,681 junctions as roads and 64 units.
A release is reported; env outlines it, traffic gives the times, the hub fetches the on-site card from worksafety, fire sends four units and writes the
message. The clock starts when worksafety's transaction writes the event (just before its commit) and stops when the terminal has parsed the message. Each
release is concluded and its units are free again before the next one is reported, at a pace. The hop is that of `bench/events.py`, at the same pace: whoever
is woken once a second is not as quick as whoever is woken two hundred times; at that rate it is printed beside.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson

from bench.events import RATE, hops, quantile, redis, redis_urls
from bench.servers import CITY, configure, database, postgres, process
from ops.demo.areas import demo_areas
from ops.launching import free_port
from ops.secretfiles import private_folder, write_private_json
from ops.services import declared
from services.hub.access.clients_file import default_clients, write_clients
from shared.testing import Issuer

SERVICES = ("hub", "worksafety", "env", "traffic", "fire")
RELEASES, WARM_UP, PACE_S = 60, 8, 0.5
HOPS_PER_S = 1.0
"""About as often as releases are reported here."""
MUST_P99 = 150.0
AREA, LON, LAT = "430304", 112.94, 27.85
STEP_LON, STEP_LAT, HALF = 0.00254, 0.00226, 20
CARD = "worksafety.on-site-card"
_spawn = get_context("spawn")


class Running:
    """The services of the benchmark, by their addresses."""

    def __init__(self, issuer: Issuer, urls: dict[str, str]) -> None:
        self.issuer, self.urls = issuer, urls
        self.http = httpx.AsyncClient(timeout=30, trust_env=False)

    def headers(self, name: str, scope: str | None = None) -> dict[str, str]:
        clearance = {"grade": "important", "personal": "none"}
        token = self.issuer.token(f"{CITY}/{name}", scope=scope or f"{name}:read {name}:write", clearance=clearance)
        return {"Authorization": f"Bearer {token}"}

    async def send(self, method: str, name: str, path: str, body: Any = None, *, scope: str | None = None, **options: Any) -> Any:
        answer = await self.http.request(method, self.urls[name] + path, json=body, headers=self.headers(name, scope), **options)
        if not answer.is_success:
            raise SystemExit(f"{name} answers {answer.status_code}: {answer.text[:500]}")
        return answer.json()


def grid() -> dict[str, tuple[str, str, str]]:
    """A grid of streets of 250 m around the plant, as CSV."""
    nodes, arcs = io.StringIO(), io.StringIO()
    ways, side = csv.writer(arcs), 2 * HALF + 1
    csv.writer(nodes).writerow(["node", "lon", "lat", "off_road_access"])
    ways.writerow(["arc", "from", "to", "length_m", "t_regular_s", "t_sirens_s", "speed_regular_kmh"])
    for here in range(side * side):
        row, column = divmod(here, side)
        csv.writer(nodes).writerow([here, f"{LON + (column - HALF) * STEP_LON:.7f}", f"{LAT + (row - HALF) * STEP_LAT:.7f}", 1])
        for there in [here + 1] * (column < side - 1) + [here + side] * (row < side - 1):
            ways.writerows([[f"{start}-{end}", start, end, 250, 25, 16.7, 36] for start, end in ((here, there), (there, here))])
    return {"nodes": ("nodes.csv", nodes.getvalue(), "text/csv"), "arcs": ("arcs.csv", arcs.getvalue(), "text/csv")}


async def furnish(city: Running) -> None:
    """A plant with chlorine, roads, stations with units, hydrants and wind."""
    await city.send("PUT", "hub", "/areas", list(demo_areas(cells=False)), scope="hub:admin")
    point = {"lon": LON, "lat": LAT, "crs": "wgs84", "area": AREA}
    now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await city.send("PUT", "worksafety", "/enterprises", [{"number": "E1", "name": "E1", "area": AREA}])
    await city.send("PUT", "worksafety", "/sites", [{"number": "S1", "enterprise": "E1", "name": "S1", "exposed": 120, **point}])
    await city.send("PUT", "worksafety", "/units", [{"site": "S1", "number": "U1", "name": "U1", "kind": "storage"}])
    stored = {"site": "S1", "unit": "U1", "substance": "7782-50-5", "q_design": 50, "q_now": 38, "counted_at": now}
    await city.send("PUT", "worksafety", "/inventories", [stored])
    await city.http.put(
        city.urls["traffic"] + "/network", params={"source": "grid"}, files=grid(), headers=city.headers("traffic", "traffic:read traffic:write")
    )
    stations = [{"code": f"ST{n}", **point, "lon": LON + (n % 4 - 1.5) * 0.02, "lat": LAT + (n // 4 - 1.5) * 0.02} for n in range(16)]
    await city.send("PUT", "fire", "/stations", stations)
    kinds = (("engine", "foam"), ("engine", "hazmat"), ("ladder", "high_angle"), ("medic", "als"))
    units = [{"code": f"{each['code']}-{n}", "kind": k, "capabilities": c, "station": each["code"]} for each in stations for n, (k, c) in enumerate(kinds)]
    await city.send("PUT", "fire", "/units", units)
    await city.send("PUT", "fire", "/hydrants", [{"code": f"H{n}", **point, "lat": LAT + n / 2000} for n in range(10)])
    await city.send("PUT", "env", "/stations", [{"code": "mast", "name_en": "mast", **point}])
    measured = {"wind_direction": 270, "wind_speed": 3}
    await city.send("PUT", "env", "/series", [{"station": "mast", "property": name, "timing": "instant"} for name in measured])
    await city.send("POST", "env", "/observations", [{"station": "mast", "property": name, "time": now, "value": value} for name, value in measured.items()])


def listen(url: str, headers: dict[str, str], unit: str, known: set[str], number: int, answers: Any) -> None:
    """In a process of its own: a terminal; for each new release when its first message was parsed, and what was missing in it."""
    came: dict[str, tuple[int, list[str], str]] = {}
    with httpx.stream("GET", f"{url}/crews/stream", headers=headers, params={"unit": unit}, timeout=60, trust_env=False) as answer:
        answers.put(answer.status_code)
        for line in answer.iter_lines():
            if line.startswith("data: "):
                said, now = orjson.loads(line[6:]), time.time_ns()
                release = said["content"]["release"]["release"]
                if release not in known:
                    came.setdefault(release, (now, said["missing"], said["content"]["travel_times"]))
                if len(came) == number:
                    break
    answers.put(came)


async def leak(city: Running) -> tuple[str, list[str]]:
    """Report a release; once units were sent it is over and they are free; the release and who they were."""
    reported = await city.send("POST", "worksafety", "/releases", {"site": f"{CITY}:S1", "unit": "U1", "cas": "7782-50-5", "rate_kg_s": 0.8})
    units = await _assigned(city, wanted=True)
    await city.send("POST", "worksafety", f"/releases/{reported['id']}/conclude", {})
    now = datetime.now(UTC).isoformat()
    await asyncio.gather(*(city.send("POST", "fire", f"/units/{unit}/state", {"state": "in_quarters", "at": now}) for unit in units))
    await _assigned(city, wanted=False)
    return reported["id"], units


async def _assigned(city: Running, *, wanted: bool) -> list[str]:
    """The units that are assigned, once there are some, or none any more."""
    end = time.monotonic() + 20
    await asyncio.sleep(PACE_S / 2)  # the questions asked here must not meet the message, nor the next release what follows the last
    while time.monotonic() < end:
        await asyncio.sleep(PACE_S / 2)
        rows = await city.send("GET", "fire", "/collections/fire.units/items", params={"filter": "incident IS NOT NULL", "limit": 100})
        if bool(rows["features"]) is wanted:
            return [row["properties"]["code"] for row in rows["features"]]
    raise SystemExit("Nobody was sent." if wanted else "Units do not become free.")


async def ready(city: Running) -> None:
    """Until the hub knows the card, and fire has asked for the roads."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        known = await city.send("GET", "hub", "/lookups", scope="hub:query")
        if CARD in {each["id"] for each in known}:
            await asyncio.sleep(12)  # fire looks every few seconds whether it has units by now, and then gets its tokens
            return
        await asyncio.sleep(0.2)
    raise SystemExit("The hub has not met worksafety.")


async def measure(city: Running, number: int, worksafety: str) -> tuple[list[float], Counter[str], Counter[str]]:
    """Milliseconds from each release's commit to the terminal, what was missing, and whose travel times they were."""
    await ready(city)
    called: Counter[str] = Counter()
    known = set()
    for _ in range(WARM_UP):
        release, units = await leak(city)
        known.add(release)
        called.update(units)
    unit, answers = called.most_common(1)[0][0], _spawn.Queue()
    listener = _spawn.Process(target=listen, args=(city.urls["fire"], city.headers("fire"), unit, known, number, answers), daemon=True)
    listener.start()
    if (status := await asyncio.to_thread(answers.get)) != 200:
        raise SystemExit(f"The stream answers {status}.")
    for _ in range(number):
        await leak(city)
    came: dict[str, tuple[int, list[str], str]] = await asyncio.to_thread(answers.get, True, 60)
    listener.join()
    connection = await asyncpg.connect(worksafety)
    written = await connection.fetch(
        "SELECT envelope->'data'->>'release' AS release, recorded_at FROM outbox WHERE envelope->>'type' = 'worksafety.release.reported.v1' ORDER BY position"
    )
    await connection.close()
    taken = [(came[row["release"]][0] / 1e6 - row["recorded_at"].timestamp() * 1e3, *came[row["release"]][1:]) for row in written[-number:]]
    return [each[0] for each in taken], Counter(what for each in taken for what in each[1]), Counter(each[2] for each in taken)


@asynccontextmanager
async def running(folder: Path, admin_url: str, server: Any) -> AsyncIterator[tuple[Running, str]]:
    """All services, knowing each other; and the address of worksafety's database."""
    issuer, ports = Issuer(), {name: free_port() for name in SERVICES}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    accounts = {client["id"]: client for client in default_clients(CITY, {name: declared(name).asks for name in SERVICES})}
    write_clients(folder / "clients.json", list(accounts.values()))
    keys = private_folder(folder / "signing")
    write_private_json(keys / f"{issuer.key.kid}.jwk", issuer.signing_key())
    databases: dict[str, dict[str, str]] = {}
    async with AsyncExitStack() as stack:
        for name in SERVICES:
            databases[name] = await database(admin_url, name)
            own: dict[str, Any] = {"services": SERVICES, "signing_keys": str(keys), "hub_url": urls["hub"]}
            own |= {"addresses": {other: url for other, url in urls.items() if other not in (name, "hub")}}
            own |= {"client_secret": accounts[f"{name}-service"]["secret"]} if declared(name).asks else {}
            if name == "hub":
                own |= {"sources": {f"{CITY}/{other}": url for other, url in urls.items() if other != "hub"}, "clients_file": str(folder / "clients.json")}
            config = configure(folder, name, databases[name], issuer, **{**own, **redis_urls(server, name)})
            await stack.enter_async_context(process(name, config, port=ports[name]))
        city = Running(issuer, urls)
        stack.push_async_callback(city.http.aclose)
        await furnish(city)
        yield city, databases["worksafety"]["database_url"]


async def run(number: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url, redis(folder, SERVICES) as server, running(folder, admin_url, server) as (city, worksafety):
            often = await hops(server.url(), 3)
            bare = await hops(server.url(), 15, HOPS_PER_S)
            taken, missing, whose = await measure(city, number, worksafety)
            bare += await hops(server.url(), 15, HOPS_PER_S)
    print(f"bare XADD -> XREAD at {RATE} a second: p50 {statistics.median(often):.2f} ms")
    return report(bare, taken, missing, whose)


def report(bare: Sequence[float], taken: Sequence[float], missing: Counter[str], whose: Counter[str]) -> bool:
    """Print both and their ratio; whether it is reached."""
    hop, p99 = statistics.median(bare), quantile(taken, 0.99)
    print(f"bare XADD -> XREAD at the pace of the releases: {len(bare)} hops, p50 {hop:.2f} ms, p99 {quantile(bare, 0.99):.2f} ms")
    print(f"release committed -> terminal: {len(taken)} messages, p50 {statistics.median(taken):.1f} ms, p90 {quantile(taken, 0.9):.1f} ms, p99 {p99:.1f} ms")
    print(f"missing: {dict(missing) or 'nothing'}; travel times by {dict(whose)}")
    reached = p99 / hop <= MUST_P99
    print(f"p99 {p99 / hop:.1f} x the hop's p50 (at most {MUST_P99:g}): {'yes' if reached else 'NO'}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.crews", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--releases", type=int, default=RELEASES)
    if not asyncio.run(run(parser.parse_args().releases)):
        sys.exit("The ratio was not reached.")


if __name__ == "__main__":
    main()
