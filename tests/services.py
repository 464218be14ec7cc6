"""Several real services of a city, each on a loopback port, that know each other as in a running city."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ops.launching import free_port
from ops.services import declared
from services.hub.access.clients_file import default_clients, write_clients
from shared.config import Settings
from shared.service import Service, create_app
from shared.testing import serving
from tests.city import CITY, City

ALL = ("hub", "food", "traffic", "fire", "env", "worksafety", "intercity")
PATIENCE_S = 60.0


@dataclass
class Served:
    """The services that run in this process: their applications, clients with their addresses, settings."""

    city: City
    code: str
    apps: dict[str, FastAPI]
    clients: dict[str, httpx.AsyncClient]
    settings: dict[str, Settings]
    accounts: dict[str, dict[str, Any]]
    """The default clients of the city, by id, with their secrets."""
    running: dict[str, AsyncExitStack] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return str(self.clients[name].base_url).rstrip("/")

    def headers(self, name: str, scope: str, **claims: Any) -> dict[str, str]:
        """A token for a service: everywhere, clearance `important`, unless the claims say otherwise."""
        claims.setdefault("clearance", {"grade": "important", "personal": "none"})
        return {"Authorization": f"Bearer {self.city.issuer.token(f'{self.code}/{name}', scope=scope, **claims)}"}

    async def get(self, name: str, path: str, scope: str = "hub:query", **params: Any) -> Any:
        """The JSON of a GET that must succeed."""
        answer = await self.clients[name].get(path, params=params, headers=self.headers(name, scope))
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    async def send(self, method: str, name: str, path: str, body: Any = None, scope: str | None = None, **claims: Any) -> Any:
        """The JSON of a write that must succeed, as the sector's own system unless `scope` says otherwise."""
        answer = await self.clients[name].request(method, path, json=body, headers=self.headers(name, scope or f"{name}:read {name}:write", **claims))
        assert answer.is_success, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def stop(self, name: str) -> None:
        """End one service; the others go on."""
        await self.running.pop(name).aclose()

    async def meet(self) -> None:
        """Until the hub has heard all the sectors that are served and knows what they share."""
        registry = self.apps["hub"].state.runtime.own.registry
        shared = {dataset.id for name, app in self.apps.items() if name != "hub" for dataset in app.state.runtime.service.datasets}

        def met() -> bool:
            sources = [source for source in registry.sources.values() if source.kind == "sector"]
            return shared <= {dataset for source in sources for dataset in source.offers} and all(source.health == "up" for source in sources)

        await until(met, "the hub has not met every sector")


async def until(reached: Callable[[], Any], otherwise: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something is true, in this process; `AssertionError` if it does not come true."""
    end = asyncio.get_running_loop().time() + patience_s
    while not (found := reached()) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    assert found, otherwise


@asynccontextmanager
async def served(
    city: City,
    folder: Path,
    names: Sequence[str],
    *,
    code: str = CITY,
    changed: Mapping[str, Service] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Served]:
    """Run the named services, the hub among them, with empty databases; the hub has met the sectors when this is entered.

    `code` makes it another city than the usual one; `changed` puts another declaration in the place of a service's own;
    `overrides` are settings by service.
    """
    asks = {name: declared(name).asks for name in names}
    accounts = {client["id"]: client for client in default_clients(code, asks)}
    write_clients(folder / f"clients-{code}.json", list(accounts.values()))
    ports = {name: free_port() for name in names}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    async with AsyncExitStack() as stack:
        found = Served(city, code, {}, {}, {}, accounts)
        for name in sorted(names, key=lambda name: name != "hub"):  # the hub first: it gives tokens
            own: dict[str, Any] = {"city": code, "hub_url": urls["hub"], "addresses": {other: url for other, url in urls.items() if other not in (name, "hub")}}
            own |= {"client_secret": accounts[f"{name}-service"]["secret"]} if asks[name] else {}
            own |= {"sources": {f"{code}/{other}": urls[other] for other in names if other != "hub"}} if name == "hub" else {}
            own |= {"clients_file": folder / f"clients-{code}.json"} if name == "hub" else {}
            found.settings[name] = city.settings(name, **{**own, **(overrides or {}).get(name, {})})
            service = (changed or {}).get(name) or declared(name)
            found.apps[name] = create_app(service, found.settings[name])
            found.running[name] = own_stack = await stack.enter_async_context(AsyncExitStack())
            found.clients[name] = await own_stack.enter_async_context(serving(found.apps[name], ports[name]))
        await found.meet()
        yield found
