"""What is measured: a hub, its sectors as processes of their own, and their databases on one server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from bench.federation.data import AREAS, fill_all
from bench.federation.sector import SIX, TWELVE, ddl_of, service_of, tables_of
from bench.servers import CITY, configure, database, postgres, process
from ops import provision
from ops.migrate import build
from ops.secretfiles import private_folder, write_private_json
from shared.testing import Issuer

CLEARANCE = {"grade": "important", "personal": "none"}


@dataclass(frozen=True, slots=True)
class Stand:
    """Addresses and tokens."""

    admin_url: str
    reader_urls: dict[str, str]
    """Of the sectors' databases, as the role that answers questions."""
    hub: str
    sectors: dict[str, str]
    issuer: Issuer
    folder: Path

    def headers(self, name: str) -> dict[str, str]:
        """A token of an analyst, for the hub or for one sector."""
        token = self.issuer.token(f"{CITY}/{name}", scope="hub:query", clearance=CLEARANCE, purpose="analysis", lifetime_s=7200)
        return {"Authorization": f"Bearer {token}"}

    def client(self, name: str = "hub") -> httpx.AsyncClient:
        url = self.hub if name == "hub" else self.sectors[name]
        return httpx.AsyncClient(base_url=url, headers=self.headers(name), timeout=120, trust_env=False)


@asynccontextmanager
async def stand(folder: Path, rows: int, parts: frozenset[str], under: Sequence[str] = ()) -> AsyncIterator[Stand]:
    """Everything runs, is filled and has met; `under` is a profiler for the hub."""
    names = TWELVE if "spread" in parts else SIX
    issuer = Issuer()
    keys = private_folder(folder / "signing")
    for old in keys.glob("*.jwk"):
        old.unlink()
    write_private_json(keys / f"{issuer.key.kid}.jwk", issuer.signing_key())
    async with postgres(folder) as admin_url, AsyncExitStack() as stack:
        urls = {name: await _sector_database(admin_url, name) for name in names}
        hub_urls = await database(admin_url, "hub")
        await _areas(hub_urls["owner_url"])
        await fill_all({name: found["owner_url"] for name, found in urls.items()}, rows, parts, folder)
        sectors: dict[str, str] = {}
        for name in names:
            config = configure(folder, name, urls[name], issuer)
            sectors[name] = await stack.enter_async_context(process(name, config, app="bench.federation.served:app"))
        sources = {f"{CITY}/{name}": url for name, url in sectors.items()}
        hub_config = configure(folder, "hub", hub_urls, issuer, signing_keys=str(keys), sources=sources)
        hub = await stack.enter_async_context(process("hub", hub_config, under=under))
        made = Stand(admin_url, {name: found["reader_url"] for name, found in urls.items()}, hub, sectors, issuer, folder)
        await _met(made, names)
        yield made


async def _sector_database(admin_url: str, name: str) -> dict[str, str]:
    """The database of a sector, made of its declaration if it is new."""
    await provision.provision(admin_url, [name], {role: role for role in provision.role_names([name])})
    urls = {f"{kind}_url": provision.role_url(admin_url, name, kind, provision.role(name, kind)) for kind in provision.KINDS}
    owner = await asyncpg.connect(urls["owner_url"])
    there = await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", tables_of(name)[0])
    await owner.close()
    await build(service_of(name), urls["owner_url"], from_models=True, ddl=[] if there else ddl_of(name))
    return {"database_url": urls["app_url"], "reader_url": urls["reader_url"], "owner_url": urls["owner_url"]}


async def _areas(owner_url: str) -> None:
    owner = await asyncpg.connect(owner_url)
    await owner.execute(AREAS)
    await owner.close()


async def _met(made: Stand, names: Sequence[str], patience_s: float = 60) -> None:
    """Until the hub knows what every sector offers."""
    end = time.monotonic() + patience_s
    async with made.client() as client:
        while time.monotonic() < end:
            answer = await client.get("/sources")
            if answer.is_success and sum(source["health"] == "up" for source in answer.json()) >= len(names):
                return
            await asyncio.sleep(0.1)
    raise RuntimeError(f"The hub has not met its sectors: {answer.status_code} {answer.text[:500]}")
