"""The whole city on loopback ports, loaded from the publishers' files, for the tests of the main job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ops.launching import free_port
from ops.load.engine import Load
from ops.load.mapping import read_mapping
from ops.load.sending import Sender
from ops.load.tally import Report
from services.env.app import service as env
from services.fire.app import service as fire
from services.food.app import service as food
from services.hub.access.clients_file import default_clients, write_clients
from services.hub.app import service as hub
from shared.service import create_app
from shared.testing import serving
from tests.city import CITY, City

SECTORS = {"food": food, "fire": fire, "env": env}
SHARED = ("fire.calls", "food.inspections", "food.findings", "env.observations", "env.daily")


@dataclass
class WholeCity:
    """A hub and three sectors that know each other only by HTTP."""

    city: City
    client: httpx.AsyncClient
    run: dict[str, Any]
    """What `run.json` of a running city would say."""
    apps: dict[str, FastAPI]
    reports: dict[str, Report] = field(default_factory=dict)

    async def load(self, mapping: str, *paths: Path) -> Report:
        """What `liandong load` does."""
        named = read_mapping(mapping)
        sender = Sender(self.run, named.target.service)
        try:
            report = await asyncio.to_thread(Load(named, sender).run, paths)
        finally:
            sender.close()
        assert report.stopped is None, report.stopped
        self.reports[mapping] = report
        return report

    async def aggregate(self, question: dict[str, Any], **claims: Any) -> dict[str, Any]:
        """The hub's answer, which must be complete."""
        await self.meet()
        headers = self.city.headers("hub", scope="hub:query", clearance={"grade": "important", "personal": "none"}, **claims)
        answer = await self.client.post("/aggregate", json={"deadline_ms": 30_000, **question}, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def meet(self) -> None:
        """Wait until the hub knows what every sector shares and finds all of them well: here they share one process and its two cores."""
        registry = self.apps["hub"].state.runtime.own.registry
        for _ in range(600):
            sources = registry.sources.values()
            if {dataset for source in sources for dataset in source.offers}.issuperset(SHARED) and all(source.health == "up" for source in sources):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the hub has not met every sector within a minute")


@asynccontextmanager
async def whole_city(city: City, folder: Path) -> AsyncIterator[WholeCity]:
    """Hub, food, fire and env, empty."""
    clients = default_clients(CITY, dict.fromkeys(("hub", *SECTORS), ()))
    write_clients(folder / "clients.json", clients)
    port = free_port()
    async with AsyncExitStack() as stack:
        apps, urls = {}, {"hub": f"http://127.0.0.1:{port}"}
        for name, service in SECTORS.items():
            apps[name] = create_app(service, city.settings(name, hub_url=urls["hub"]))
            urls[name] = str((await stack.enter_async_context(serving(apps[name]))).base_url).rstrip("/")
        sources = {f"{CITY}/{name}": urls[name] for name in SECTORS}
        apps["hub"] = create_app(hub, city.settings("hub", hub_url=urls["hub"], sources=sources, clients_file=folder / "clients.json"))
        client = await stack.enter_async_context(serving(apps["hub"], port))
        run = {"city": CITY, "services": {name: {"url": url} for name, url in urls.items()}, "clients": {each["id"]: each for each in clients}}
        found = WholeCity(city, client, run, apps)
        await found.meet()
        yield found


def by_dimensions(answer: dict[str, Any], *dimensions: str) -> dict[Any, dict[str, Any]]:
    """Rows of an answer by the values of their dimensions."""
    names = [column["name"] for column in answer["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
    return {tuple(row[name] for name in dimensions) if len(dimensions) > 1 else row[dimensions[0]]: row for row in rows}


def all_ok(answer: dict[str, Any], datasets: Sequence[str]) -> bool:
    """Whether the answer is complete and every one of the datasets had a source that answered."""
    coverage = answer["coverage"]
    return bool(coverage["complete"]) and {source["dataset"] for source in coverage["sources"] if source["status"] == "ok"} == set(datasets)
