"""A water service with the areas of a city."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.water.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, 'test'),
    ('430302', 'district', '4303', '雨湖区', 'administrative', 'cn', '43', '4303', '430302', 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304', 'test')
"""


class Sector:
    """The service, and what tests ask of it."""

    def __init__(self, app: FastAPI, client: httpx.AsyncClient, city: City, settings: Settings) -> None:
        self.app, self.client, self.city, self.settings = app, client, city, settings

    async def load(self, what: str, *rows: dict[str, Any], areas: tuple[str, ...] = ("*",), **query: Any) -> dict[str, Any]:
        headers = self.city.headers("water", scope="water:write", areas=areas)
        answer = await self.client.put(f"/{what}", json=list(rows), params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def events(self) -> list[str]:
        found = self.city.sql(self.settings, "SELECT envelope->>'type' || ' ' || subject AS said FROM outbox ORDER BY position")
        return [row["said"] for row in found]


@pytest.fixture
async def sector(city: City) -> AsyncIterator[Sector]:
    settings = city.settings("water")
    app = create_app(service, settings)
    city.sql(settings, AREAS)
    async with running(app) as client:
        yield Sector(app, client, city, settings)
