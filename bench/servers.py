"""A PostgreSQL with the settings of a real city, and one service as its own process, for benchmarks."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from ops import provision
from ops.launching import free_port
from ops.migrate import build
from ops.postgres import local_postgres
from ops.secretfiles import write_private_json
from ops.services import declared
from shared.testing import Issuer

CITY = "430300"


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[str]:
    """A cluster of its own; the superuser's address."""
    cluster = local_postgres(folder / "pg", free_port(), "superuser-of-benchmarks")
    with (folder / "postgres.log").open("ab") as log:
        process = subprocess.Popen(cluster.launch().command(), stdout=log, stderr=log, start_new_session=True)
    try:
        while not cluster.ready():
            if process.poll() is not None:
                raise RuntimeError((folder / "postgres.log").read_text(encoding="utf-8", errors="replace")[-2000:])
            await asyncio.sleep(0.02)
        yield cluster.url()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


async def database(admin_url: str, service: str) -> dict[str, str]:
    """The migrated database of a service, and the addresses of its roles."""
    names = provision.role_names([service])
    await provision.provision(admin_url, [service], {name: name for name in names})
    urls = {f"{kind}_url": provision.role_url(admin_url, service, kind, provision.role(service, kind)) for kind in provision.KINDS}
    await build(declared(service), urls["owner_url"])
    return {"database_url": urls["app_url"], "reader_url": urls["reader_url"], "owner_url": urls["owner_url"]}


def configure(folder: Path, service: str, urls: dict[str, str], issuer: Issuer, **settings: Any) -> Path:
    """The configuration file of a service that trusts the issuer."""
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    write_private_json(cache / "trust.json", issuer.trust())
    path = folder / f"{service}.json"
    write_private_json(path, {"service": service, "city": CITY, "issuer": issuer.url, "hub_url": issuer.url, "cache_dir": str(cache), **urls, **settings})
    return path


@asynccontextmanager
async def process(service: str, config: Path, *, under: Sequence[str] = (), app: str | None = None, port: int | None = None) -> AsyncIterator[str]:
    """The service as one uvicorn process, perhaps under a profiler; its base address. Ended by SIGINT, so that a profile is written."""
    port = port or free_port()
    command = [
        sys.executable,
        *(under or ("-m",)),
        "uvicorn",
        app or f"services.{service}.app:app",
        "--port",
        str(port),
        "--log-level",
        "warning",
        "--timeout-graceful-shutdown",
        "3",
    ]
    with (config.parent / f"{service}.log").open("ab") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, env={"LIANDONG_CONFIG": str(config), "PATH": ""})
    try:
        await _answering(f"http://127.0.0.1:{port}", running, config.parent / f"{service}.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(30)


async def _answering(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    async with httpx.AsyncClient(trust_env=False) as client:
        while time.monotonic() < end and running.poll() is None:
            try:
                await client.get(f"{url}/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise RuntimeError(log.read_text(encoding="utf-8", errors="replace")[-3000:])
