"""A food service with the areas of a city."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.food.app import service
from services.food.models import SHARED
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, geometry, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, NULL, 'test'),
    ('430302', 'district', '4303', '雨湖区', 'administrative', 'cn', '43', '4303', '430302',
     '{"type": "Polygon", "coordinates": [[[112.8, 27.8], [112.9, 27.8], [112.9, 27.9], [112.8, 27.9], [112.8, 27.8]]]}', 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304', NULL, 'test'),
    ('4301', 'city', '43', '长沙市', 'administrative', 'cn', '43', '4301', NULL, NULL, 'test')
"""
RECENTLY = (datetime.now(UTC) - timedelta(hours=3)).replace(microsecond=0)
DINER = {"number": "19", "name": "某某餐馆", "kind": "catering", "area": "430302", "lon": 112.85, "lat": 27.85, "crs": "wgs84"}


class Food:
    """The service, and what tests ask of it."""

    def __init__(self, client: httpx.AsyncClient, city: City, settings: Settings) -> None:
        self.client, self.city, self.settings = client, city, settings

    def headers(self, scope: str = "food:write food:read", **claims: Any) -> dict[str, str]:
        return self.city.headers("food", scope=scope, **claims)

    async def load(self, what: str, *rows: Any, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        answer = await self.client.post(f"/{what}", json=list(rows), params=query, headers=self.headers() | (headers or {}))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert sum(found[count] for count in ("taken", "corrected", "duplicates", "rejected")) == len(rows)
        return found

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.city.sql(self.settings, f"SELECT * FROM {table} ORDER BY id")]

    def clear(self) -> None:
        tables = [table for each in SHARED for table in (each.name, f"{each.name}_history")]
        self.city.sql(self.settings, f"TRUNCATE {', '.join((*tables, 'outbox', 'idempotency'))}")

    def events(self) -> list[tuple[str, str]]:
        return [
            (row["type"], row["subject"]) for row in self.city.sql(self.settings, "SELECT envelope->>'type' AS type, subject FROM outbox ORDER BY position")
        ]


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """taken, corrected, duplicates, rejected"""
    return answer["taken"], answer["corrected"], answer["duplicates"], answer["rejected"]


def reasons(answer: dict[str, Any]) -> dict[int, str]:
    return {error["row"]: error["code"] for error in answer["errors"]}


@asynccontextmanager
async def kitchen_of(city: City) -> AsyncIterator[Food]:
    settings = city.settings("food")
    city.sql(settings, AREAS)
    async with running(create_app(service, settings)) as client:
        yield Food(client, city, settings)


@pytest.fixture(scope="module")
async def kitchen(city: City) -> AsyncIterator[Food]:
    """One service for all tests of a module, which keep apart by the registries that they name."""
    async with kitchen_of(city) as made:
        yield made


@pytest.fixture
async def food(kitchen: Food) -> Food:
    """The module's service with nothing in it but the areas."""
    kitchen.clear()
    return kitchen
