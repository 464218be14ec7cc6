"""From the commit of a change to the hands of an SSE client, beside a bare XADD → XREAD hop: `python -m bench.events`.

PostgreSQL, Redis, a sector and the hub under uvicorn, and the listener are processes of their own; the sector makes the changes.
The clock starts when PostgreSQL has acknowledged the sector's commit and stops when the listener has parsed the event; between them lie
the sector's drainer, Redis, the hub's consumer with a commit of its own, and the stream. The hop is one process that appends entries of
the same size and another that reads them, with the same connections as ours, on the same Redis. Both are paced at 200 per second.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import orjson
from pydantic import SecretStr
from redis import Redis as Client
from redis.exceptions import RedisError

from bench.events_sector import service
from bench.pace import paced
from bench.servers import CITY, configure, database, postgres, process
from ops import provision
from ops.launching import free_port
from ops.migrate import build
from ops.redis import Redis
from ops.redis_users import access_lines, service_users, user_names
from ops.secretfiles import private_folder, write_private, write_private_json
from shared.bus.link import open_link
from shared.testing import Issuer

RATE, SECONDS, WARM_UP = 200, 20, 400
SERVICES = ("hub", "bench")
MUST_P50, MUST_P99 = 10.0, 40.0
_spawn = get_context("spawn")


@asynccontextmanager
async def redis(folder: Path, services: Sequence[str] = SERVICES) -> AsyncIterator[Redis]:
    """A Redis of its own with the users of the services, whose passwords are their names."""
    server = Redis(folder / "redis", free_port(), "admin", folder / "users.acl", {})
    write_private(server.access_file, access_lines(server.password, service_users(services, CITY, {name: name for name in user_names(services, CITY)})))
    with (folder / "redis.log").open("ab") as log:
        running = subprocess.Popen(server.launch().command(), stdout=log, stderr=log, start_new_session=True)
    try:
        await _until(lambda: bool(Client.from_url(server.url()).ping()))
        yield server
    finally:
        running.terminate()
        running.wait(20)


def redis_urls(server: Redis, service: str) -> dict[str, str]:
    """The addresses of a service's two users, whose passwords are their names."""
    return {f"redis_{what}_url": f"redis://{service}-{what}:{service}-{what}@127.0.0.1:{server.port}/0" for what in ("publish", "consume")}


async def _until(ready: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except RedisError:
            pass  # it has only just been started
        await asyncio.sleep(0.02)
    raise SystemExit("A server does not answer.")


def read_hops(url: str, number: int, answers: Any) -> None:
    """In a process of its own: read entries and note when each came."""

    async def read() -> list[int]:
        came: list[int] = []
        last = "0"
        async with open_link(SecretStr(url)) as link:
            answers.put("ready")
            while len(came) < number:
                found = await link.ask("XREAD", "BLOCK", 5000, "STREAMS", "hop", last, blocking_s=5)
                now = time.monotonic_ns()
                for entry, fields in found[0][1]:
                    last = entry.decode()
                    came.append(now - int(fields[1].partition(b" ")[0]))
        return came

    answers.put(asyncio.run(read()))


async def hops(url: str, seconds: float, rate: float = RATE) -> list[float]:
    """Milliseconds of each bare hop, at so many a second."""
    number, answers = int(rate * seconds), _spawn.Queue()
    reader = _spawn.Process(target=read_hops, args=(url, number, answers), daemon=True)
    reader.start()
    await asyncio.to_thread(answers.get)
    async with open_link(SecretStr(url)) as link:
        lock = asyncio.Lock()

        async def append(_: int) -> None:
            async with lock:
                await link.ask("XADD", "hop", "*", "event", f"{time.monotonic_ns()} {'x' * 420}")

        await paced(number, rate, append)
        taken = await asyncio.to_thread(answers.get)
        await link.ask("DEL", "hop")
    reader.join()
    return [each / 1e6 for each in taken]


def listen(url: str, headers: dict[str, str], number: int, answers: Any) -> None:
    """In a process of its own: listen to the hub's stream and note when each event was parsed."""
    came: list[tuple[int, int]] = []
    with httpx.stream("GET", f"{url}/events/stream", headers=headers, params={"type": "bench.*"}, timeout=60, trust_env=False) as answer:
        answers.put(answer.status_code)
        for line in answer.iter_lines():
            if line.startswith("data: "):
                change = orjson.loads(line[6:])["data"]["number"]
                came.append((change, time.monotonic_ns()))
            if len(came) == number:
                break
    answers.put(came)


async def changes(sector: str, hub: str, issuer: Issuer, seconds: float) -> list[float]:
    """Milliseconds from each commit to the listener; ends the benchmark if an event was lost or repeated."""
    number, answers = int(RATE * seconds) + WARM_UP, _spawn.Queue()
    token = issuer.token(f"{CITY}/hub", scope="hub:events")
    listener = _spawn.Process(target=listen, args=(hub, {"Authorization": f"Bearer {token}"}, number, answers), daemon=True)
    listener.start()
    if (status := await asyncio.to_thread(answers.get)) != 200:
        raise SystemExit(f"The hub's stream answers {status}.")
    headers = {"Authorization": f"Bearer {issuer.token(f'{CITY}/bench', scope='bench:write')}"}
    async with httpx.AsyncClient(base_url=sector, headers=headers, timeout=seconds + 60, trust_env=False) as client:
        answer = await client.post("/changes", json={"number": number, "rate": RATE})
        committed: list[int] = answer.raise_for_status().json()
    kept = (number - 1) / (max(committed) - min(committed)) * 1e9
    if kept < 0.97 * RATE:
        print(f"the machine was too busy to keep the pace: {kept:.0f} instead of {RATE} changes per second")
    came = await asyncio.to_thread(answers.get)
    listener.join()
    if sorted(change for change, _ in came) != list(range(number)):
        raise SystemExit(f"Of {number} events, {len({change for change, _ in came})} came, in {len(came)} deliveries.")
    return [(at - committed[change]) / 1e6 for change, at in came if change >= WARM_UP]


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


async def run(seconds: float, under: Sequence[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="liandong-bench-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        async with postgres(folder) as admin_url, redis(folder) as server:
            issuer = Issuer()
            await provision.provision(admin_url, SERVICES, {name: name for name in provision.role_names(SERVICES)})
            sector_urls = {f"{kind}_url": provision.role_url(admin_url, "bench", kind, provision.role("bench", kind)) for kind in provision.KINDS}
            await build(service, sector_urls["owner_url"], from_models=True)
            keys = private_folder(folder / "signing")
            write_private_json(keys / f"{issuer.key.kid}.jwk", issuer.signing_key())
            common = {"services": SERVICES, "signing_keys": str(keys)}
            hub_config = configure(folder, "hub", await database(admin_url, "hub"), issuer, **common, **redis_urls(server, "hub"))
            sector_urls["database_url"] = sector_urls.pop("app_url")
            sector_config = configure(folder, "bench", sector_urls, issuer, **common, **redis_urls(server, "bench"))
            async with process("hub", hub_config, under=under) as hub, process("bench", sector_config, app="bench.events_sector:app") as sector:
                before = await hops(server.url(), seconds / 4)
                taken = await changes(sector, hub, issuer, seconds)
                bare = before + await hops(server.url(), seconds / 4)
    return report(bare, taken)


def report(bare: Sequence[float], taken: Sequence[float]) -> bool:
    """Print both and their ratios; whether these are reached."""
    hop = statistics.median(bare)
    print(f"bare XADD -> XREAD: {len(bare)} hops, p50 {hop:.2f} ms, p99 {quantile(bare, 0.99):.2f} ms")
    p50, p99 = statistics.median(taken), quantile(taken, 0.99)
    print(f"commit -> SSE client: {len(taken)} events, none lost, none repeated, p50 {p50:.2f} ms, p90 {quantile(taken, 0.9):.2f} ms, p99 {p99:.2f} ms")
    ratios = (p50 / hop, p99 / hop)
    reached = ratios[0] <= MUST_P50 and ratios[1] <= MUST_P99
    print(f"p50 {ratios[0]:.1f} x the hop's p50 (at most {MUST_P50:g}), p99 {ratios[1]:.1f} x (at most {MUST_P99:g}): {'yes' if reached else 'NO'}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--profile", type=Path, help="where bench.sampler writes where the hub's processor time went")
    arguments = parser.parse_args()
    under = ["-m", "bench.sampler", str(arguments.profile)] if arguments.profile else []
    if not asyncio.run(run(arguments.seconds, under)):
        sys.exit("A ratio was not reached.")


if __name__ == "__main__":
    main()
