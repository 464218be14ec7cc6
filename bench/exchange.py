"""A signed exchange between two cities beside the same question unsigned: `python -m bench.exchange`.

A hundred rows of the north's fire calls, in one order, for eight clients at once. Unsigned: the north's hub is asked directly over HTTP with the
very parameters that the agreement makes of the question. Signed: the south's gateway is asked as its own hub asks it, with a new token each time;
it signs a message, the north's gateway verifies it, cuts it to the agreement, asks the same hub, signs the answer; the south verifies that; both
write the exchange into their logs before they answer. Every process is the real one. In turn, medians of the throughput.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.servers import configure, database, postgres, process
from ops.launching import free_port
from services.hub.access.clients_file import default_clients, write_clients
from shared.testing import Issuer

NORTH, SOUTH = "430100", "430300"
ROWS, LIMIT, CLIENTS, QUESTIONS, ROUNDS, MUST = 5_000, 100, 8, 240, 5, 0.3
FIELDS = ["area", "id", "kind", "received_at", "units"]
CALLS = f"""
    INSERT INTO calls (id, registry, number, kind, priority, received_at, area, lon, lat, units, response_s, recorded_by)
    SELECT 'n' || lpad(i::text, 6, '0'), 'bench', i::text, (ARRAY['structure_fire', 'medical', 'rescue'])[1 + i % 3], 'emergency',
        '2026-11-01 00:00+00'::timestamptz + i * interval '1 minute', '430102', 112.9, 28.2, 1 + i % 4, 100.5 + i, 'bench'
    FROM generate_series(1, {ROWS}) i
"""
UNSIGNED = {
    "f": "geojson",
    "strict": "true",
    "limit": str(LIMIT),
    "properties": ",".join(FIELDS),
    "sortby": "id",
    "sources": f"{NORTH}/fire",
    "filter": json.dumps({"op": "<>", "args": [{"property": "kind"}, "medical"]}),
    "filter-lang": "cql2-json",
    "skipGeometry": "true",
}
Ask = Callable[[httpx.AsyncClient], Any]


@dataclass
class Cities:
    """What the questions need."""

    hub: str
    """The north's."""
    north: str
    south: str
    """The gateways."""
    token: str
    """For the north's hub."""
    issuer: Issuer
    """Of the south's tokens."""

    def hop(self) -> str:
        """A token as the south's hub makes one for each question."""
        return self.issuer.token(f"{SOUTH}/intercity", scope="hub:query", purpose="analysis", actor=f"{SOUTH}/hub", lifetime_s=600)


@asynccontextmanager
async def two_cities(folder: Path) -> AsyncIterator[Cities]:
    """The north whole (hub, fire, gateway), of the south the gateway; registered and agreed."""
    async with AsyncExitStack() as stack:
        places = {name: folder / name for name in ("north", "south")}
        for place in places.values():
            place.mkdir()
            place.chmod(0o755)
        north_pg, south_pg = [await stack.enter_async_context(postgres(place)) for place in places.values()]
        clients = {client["id"]: client for client in default_clients(NORTH, {"hub": (), "fire": (), "intercity": ("hub",)})}
        write_clients(places["north"] / "clients.json", list(clients.values()))
        hub_url = await _north_hub(stack, places["north"], north_pg)
        secret = clients["intercity-service"]["secret"]
        own = await database(north_pg, "intercity")
        north_file = configure(
            places["north"], "intercity", own, Issuer(hub_url), cache_dir=str(_cache(places["north"], "gateway")), client_secret=secret, city=NORTH
        )
        north = await stack.enter_async_context(process("intercity", north_file))
        issuer = Issuer()
        south_file = configure(places["south"], "intercity", await database(south_pg, "intercity"), issuer, city=SOUTH)
        south = await stack.enter_async_context(process("intercity", south_file))
        token = await _token(hub_url, clients["analyst"], f"{NORTH}/hub")
        made = Cities(hub_url, north, south, token, issuer)
        await _agree(made, await _token(hub_url, clients["intercity-system"], f"{NORTH}/intercity"))
        yield made


def _cache(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


async def _north_hub(stack: AsyncExitStack, folder: Path, pg: str) -> str:
    """Hub and fire of the north, with calls; the hub's address, once it has met the fire service."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    fire_urls = await database(pg, "fire")
    owner = await asyncpg.connect(fire_urls["owner_url"])
    await owner.execute(CALLS)
    await owner.close()
    fire = await stack.enter_async_context(
        process("fire", configure(folder, "fire", fire_urls, Issuer(address), cache_dir=str(_cache(folder, "fire-cache")), city=NORTH))
    )
    settings = {"sources": {f"{NORTH}/fire": fire}, "clients_file": str(folder / "clients.json"), "cache_dir": str(_cache(folder, "hub-cache"))}
    config = configure(folder, "hub", await database(pg, "hub"), Issuer(address), **settings, city=NORTH)
    await stack.enter_async_context(process("hub", config, port=port))
    return address


async def _token(hub: str, client: dict[str, Any], resource: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"], "resource": resource}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{hub}/oauth/token", data=form)
    return str(answer.raise_for_status().json()["access_token"])


async def _agree(cities: Cities, officer: str) -> None:
    """Both officers register the other city; the north proposes, the south signs."""
    theirs = cities.issuer.token(f"{SOUTH}/intercity", scope="intercity:read intercity:write", lifetime_s=600)
    async with (
        httpx.AsyncClient(base_url=cities.north, headers={"Authorization": f"Bearer {officer}"}, trust_env=False, timeout=30) as north,
        httpx.AsyncClient(base_url=cities.south, headers={"Authorization": f"Bearer {theirs}"}, trust_env=False, timeout=30) as south,
    ):
        for here, there in ((north, south), (south, north)):
            identity = (await there.get("/identity")).json()
            peer = {"city": identity["city"], "url": str(there.base_url), "key": identity["key"], "fingerprint": identity["fingerprint"]}
            (await here.post("/peers", json=peer)).raise_for_status()
        dataset = {"id": "fire.calls", "fields": FIELDS, "filter": "kind <> 'medical'", "operations": ["records"]}
        now = datetime.now(UTC)
        proposal = {
            "peer": SOUTH,
            "give": {"datasets": [dataset], "rate_per_minute": 12_000},
            "purposes": ["analysis"],
            "legal_basis": "benchmark",
            "begins": (now - timedelta(hours=1)).isoformat(),
            "ends": (now + timedelta(hours=1)).isoformat(),
        }
        await _until(lambda: north.post("/agreements", json=proposal), lambda answer: answer.status_code == 201)
        found = await _until(lambda: south.get("/agreements?state=received"), lambda answer: bool(answer.json()))
        (await south.post(f"/agreements/{found.json()[0]['id']}/sign")).raise_for_status()
        await _until(lambda: north.get("/agreements?state=in_force"), lambda answer: bool(answer.json()))


async def _until(ask: Callable[[], Any], good: Callable[[httpx.Response], bool]) -> httpx.Response:
    for _ in range(100):
        answer: httpx.Response = await ask()
        if good(answer):
            return answer
        await asyncio.sleep(0.2)
    raise SystemExit(f"{answer.status_code} {answer.text}")


async def unsigned(cities: Cities, http: httpx.AsyncClient) -> list[str]:
    headers = {"Authorization": f"Bearer {cities.token}"}
    return _ids(await http.get(f"{cities.hub}/collections/fire.calls/items", params=UNSIGNED, headers=headers))


async def signed(cities: Cities, http: httpx.AsyncClient, token: str) -> list[str]:
    path = f"{cities.south}/peers/{NORTH}/collections/fire.calls/items"
    return _ids(await http.get(path, params={"f": "geojson", "limit": str(LIMIT)}, headers={"Authorization": f"Bearer {token}"}))


def _ids(answer: httpx.Response) -> list[str]:
    if answer.status_code != 200:
        raise SystemExit(f"{answer.status_code} {answer.text[:500]}")
    return [row["id"] for row in json.loads(answer.content)["features"]]


async def throughput(asks: list[Callable[[httpx.AsyncClient], Any]]) -> float:
    """Answers per second, `CLIENTS` at once."""
    waiting = iter(asks)
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:

        async def client() -> None:
            for ask in waiting:
                await ask(http)

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return len(asks) / (time.perf_counter() - started)


async def run(rounds: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with two_cities(folder) as cities:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
                if await unsigned(cities, http) != await signed(cities, http, cities.hop()):
                    raise SystemExit("The two ways give other rows.")
            found: dict[str, list[float]] = {"unsigned": [], "signed": []}
            for _ in range(rounds):
                found["unsigned"].append(await throughput([lambda http: unsigned(cities, http)] * QUESTIONS))
                tokens = [cities.hop() for _ in range(QUESTIONS)]
                found["signed"].append(await throughput([lambda http, token=token: signed(cities, http, token) for token in tokens]))  # type: ignore[misc]
    middle = {name: statistics.median(rates) for name, rates in found.items()}
    ratio = middle["signed"] / middle["unsigned"]
    print(
        f"{LIMIT} rows, {CLIENTS} clients: signed through two gateways {middle['signed']:.1f} a second, unsigned {middle['unsigned']:.1f} a second, "
        f"ratio {ratio:.2f} (must be at least {MUST}: {'yes' if ratio >= MUST else 'NO'})"
    )
    return ratio >= MUST


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.exchange", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    if not asyncio.run(run(parser.parse_args().rounds)):
        raise SystemExit("The ratio was not reached.")


if __name__ == "__main__":
    main()
