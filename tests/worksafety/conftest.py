"""A work-safety service with the areas of a city and a chlorine depot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.worksafety.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, geometry, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, NULL, 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304',
     '{"type": "Polygon", "coordinates": [[[112.9, 27.8], [113.0, 27.8], [113.0, 27.9], [112.9, 27.9], [112.9, 27.8]]]}', 'test'),
    ('430302', 'district', '4303', '雨湖区', 'administrative', 'cn', '43', '4303', '430302', NULL, 'test')
"""
SITE = (112.94, 27.83)
CLEARED = {"grade": "important", "personal": "none"}


def site(number: str = "S1", lon: float = SITE[0], lat: float = SITE[1], **others: Any) -> dict[str, Any]:
    return {"number": number, "name": f"厂区{number}", "lon": lon, "lat": lat, "crs": "wgs84", "within": "4303", "exposed": 0} | others


def unit(number: str = "U1", of: str = "S1") -> dict[str, Any]:
    return {"site": of, "number": number, "name": f"储罐区{number}", "kind": "storage"}


def held(substance: str = "7782-50-5", q_design: float = 50, of: str = "U1", at: str = "S1", **others: Any) -> dict[str, Any]:
    return {"site": at, "unit": of, "substance": substance, "q_design": q_design} | others


def counts(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """taken, corrected, duplicates, rejected"""
    return answer["taken"], answer["corrected"], answer["duplicates"], answer["rejected"]


def reasons(answer: dict[str, Any]) -> dict[int, str]:
    return {error["row"]: error["code"] for error in answer["errors"]}


class Safety:
    """The service, and what tests ask of it."""

    def __init__(self, client: httpx.AsyncClient, city: City, settings: Settings) -> None:
        self.client, self.city, self.settings = client, city, settings

    def headers(self, scope: str = "worksafety:write worksafety:read", **claims: Any) -> dict[str, str]:
        return self.city.headers("worksafety", scope=scope, **({"clearance": CLEARED} | claims))

    async def load(self, path: str, *rows: dict[str, Any], method: str = "PUT", headers: dict[str, str] | None = None, **query: Any) -> dict[str, Any]:
        answer = await self.client.request(method, path, json=list(rows), params=query, headers=headers or self.headers())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert sum(counts(found)) == len(rows)
        return found

    async def send(self, path: str, body: dict[str, Any], status: int = 200, **headers: str) -> dict[str, Any]:
        answer = await self.client.post(path, json=body, headers=self.headers() | headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> Any:
        answer = await self.client.get(path, params=query, headers=headers or self.headers())
        assert answer.status_code == status, answer.text
        return answer.json()

    def rows(self, statement: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in self.city.sql(self.settings, statement, *arguments)]

    def events(self, kind: str = "worksafety.%") -> list[dict[str, Any]]:
        return self.rows("SELECT envelope->>'type' AS type, envelope->'data' AS data FROM outbox WHERE envelope->>'type' LIKE $1 ORDER BY position", kind)

    async def depot(self, number: str = "S1", q_design: float = 50, exposed: int | None = 0, **place: Any) -> None:
        """A site with one unit that holds chlorine."""
        await self.load("/sites", site(number, exposed=exposed, **place))
        await self.load("/units", unit(of=number))
        await self.load("/inventories", held(q_design=q_design, q_now=q_design / 2, at=number))


@pytest.fixture
async def safety(city: City) -> AsyncIterator[Safety]:
    settings = city.settings("worksafety")
    city.sql(settings, AREAS)
    async with running(create_app(service, settings)) as client:
        yield Safety(client, city, settings)
