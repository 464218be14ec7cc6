"""A fire service with the areas of a city."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.fire.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, geometry, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, NULL, 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304',
     '{"type": "Polygon", "coordinates": [[[112.9, 27.8], [113.0, 27.8], [113.0, 27.9], [112.9, 27.9], [112.9, 27.8]]]}', 'test'),
    ('4301', 'city', '43', '长沙市', 'administrative', 'cn', '43', '4301', NULL, NULL, 'test')
"""
NOW = datetime.now(UTC).replace(microsecond=0)
RECENT, OLD = NOW - timedelta(hours=1), NOW - timedelta(days=400)


def after(start: datetime, seconds: float) -> str:
    return (start + timedelta(seconds=seconds)).isoformat()


def call(number: str = "1", start: datetime = RECENT, **values: Any) -> dict[str, Any]:
    return {"number": number, "kind": "structure_fire", "priority": "emergency", "received_at": start.isoformat(), "area": "430304"} | values


def response(number: str = "1", unit: str = "E1", start: datetime = RECENT, **values: Any) -> dict[str, Any]:
    """Dispatched after 50 s, en route after 110, on scene after 300, available after 3,000."""
    times = {"dispatched_at": 50, "en_route_at": 110, "on_scene_at": 300, "available_at": 3000}
    moments = {name: after(start, values.pop(name, seconds)) for name, seconds in times.items()}
    return call(number, start) | {"unit": unit, "unit_kind": "engine"} | moments | values


class Fire:
    """The service, and what tests ask of it."""

    def __init__(self, client: httpx.AsyncClient, city: City, settings: Settings) -> None:
        self.client, self.city, self.settings = client, city, settings

    def headers(self, scope: str = "fire:write fire:read", **claims: Any) -> dict[str, str]:
        return self.city.headers("fire", scope=scope, **claims)

    async def load(self, *rows: Any, headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        answer = await self.client.post("/responses", json=list(rows), params=query, headers=self.headers() | (headers or {}))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert sum(found[count] for count in ("taken", "corrected", "duplicates", "rejected")) == len(rows)
        return found

    async def show(self, number: str = "1") -> dict[str, Any]:
        answer = await self.client.get(f"/calls/430300:{number}", headers=self.headers())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.city.sql(self.settings, f"SELECT * FROM {table} ORDER BY id")]

    def events(self, what: str = "calls") -> list[str]:
        return [row["subject"] for row in self.city.sql(self.settings, "SELECT subject FROM outbox ORDER BY position") if row["subject"].startswith(what)]


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """taken, corrected, duplicates, rejected"""
    return answer["taken"], answer["corrected"], answer["duplicates"], answer["rejected"]


def reasons(answer: dict[str, Any]) -> dict[int, str]:
    return {error["row"]: error["code"] for error in answer["errors"]}


@pytest.fixture
async def fire(city: City) -> AsyncIterator[Fire]:
    settings = city.settings("fire")
    city.sql(settings, AREAS)
    async with running(create_app(service, settings)) as client:
        yield Fire(client, city, settings)
