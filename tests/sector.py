"""One service for its tests: on its own database, with the areas of a city, loaded and read over HTTP, checked against the contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from ops.conform.asking import Asker
from ops.conform.run import Report, conform
from ops.conform.subject import Subject
from shared.config import Settings
from shared.service import Service, create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, 'test'),
    ('430302', 'district', '4303', '雨湖区', 'administrative', 'cn', '43', '4303', '430302', 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304', 'test')
"""


@dataclass(frozen=True, slots=True)
class Sector:
    """A running service, and what tests ask of it."""

    name: str
    app: FastAPI
    client: httpx.AsyncClient
    city: City
    settings: Settings

    async def load(self, method: str, path: str, rows: Sequence[dict[str, Any]], *, areas: Sequence[str] = ("*",), **query: Any) -> dict[str, Any]:
        """The answer to a batch that is sent by the sector's own system, or one with fewer areas."""
        headers = self.city.headers(self.name, scope=f"{self.name}:write", areas=areas)
        answer = await self.client.request(method, path, json=list(rows), params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, *, areas: Sequence[str] = ("*",), **query: Any) -> httpx.Response:
        headers = self.city.headers(self.name, scope=f"{self.name}:read", areas=areas)
        return await self.client.get(path, params=query, headers=headers)

    def rows(self, statement: str) -> list[Any]:
        """The first column of what a query finds in the service's database."""
        return [row[0] for row in self.city.sql(self.settings, statement)]

    def events(self) -> list[dict[str, Any]]:
        """The events that were recorded, in their order."""
        return [json.loads(envelope) for envelope in self.rows("SELECT envelope::text FROM outbox ORDER BY position")]

    async def conformance(self) -> Report:
        """The service checked against the contract, with a narrower token (one district) and one for another service."""
        narrow = self.city.token(self.name, scope="hub:query", areas=["430302"])
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        asker = Asker("http://test", self.city.token(self.name, scope=f"{self.name}:read"), transport=transport)
        try:
            return await conform(Subject(asker, narrow=narrow, other=self.city.token("hub", scope="hub:query")))
        finally:
            await asker.aclose()


@asynccontextmanager
async def sector(city: City, service: Service) -> AsyncIterator[Sector]:
    """The service of a test, with a city of two districts (430302, 430304)."""
    settings = city.settings(service.name)
    app = create_app(service, settings)
    city.sql(settings, AREAS)
    async with running(app) as client:
        yield Sector(service.name, app, client, city, settings)
