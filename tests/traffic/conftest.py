"""A traffic service on its own database, with the areas of a city and a street grid in force."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.traffic.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = """
    INSERT INTO areas (code, level, parent, name_zh, kind, nation, province, city, district, geometry, recorded_by) VALUES
    ('4303', 'city', '43', '湘潭市', 'administrative', 'cn', '43', '4303', NULL, NULL, 'test'),
    ('430304', 'district', '4303', '岳塘区', 'administrative', 'cn', '43', '4303', '430304',
     '{"type": "Polygon", "coordinates": [[[112.9, 27.7], [113.1, 27.7], [113.1, 27.9], [112.9, 27.9], [112.9, 27.7]]]}', 'test'),
    ('430302', 'district', '4303', '雨湖区', 'administrative', 'cn', '43', '4303', '430302', NULL, 'test'),
    ('4301', 'city', '43', '长沙市', 'administrative', 'cn', '43', '4301', NULL, NULL, 'test')
"""
EMPTIED = ("closures", "incidents", "detectors", "adjacency", "observations", "observations_hourly", "series", "outbox", "idempotency")
SIDE = 11


def grid_csv(side: int = SIDE) -> dict[str, tuple[str, str]]:
    """A grid of two-way streets as the two files of an upload: crossings 0.001° apart, 100 m and 10 s of a car each, 7.5 s with siren."""
    number = [[y * side + x for x in range(side)] for y in range(side)]
    nodes = "".join(f"{number[y][x]},{113 + x / 1000:.3f},{27.8 + y / 1000:.3f},1\n" for y in range(side) for x in range(side))
    pairs = [(number[y][x], number[y][x + 1]) for y in range(side) for x in range(side - 1)]
    pairs += [(number[y][x], number[y + 1][x]) for y in range(side - 1) for x in range(side)]
    arcs = "".join(f"{each},100,10,7.5\n" for a, b in pairs for each in (f"{a},{b}", f"{b},{a}"))
    return {"nodes": ("nodes.csv", "node,lon,lat,off_road_access\n" + nodes), "arcs": ("arcs.csv", "from,to,length_m,t_regular_s,t_sirens_s\n" + arcs)}


@dataclass(frozen=True, slots=True)
class Traffic:
    """The running service and who asks it."""

    app: FastAPI
    settings: Settings
    client: httpx.AsyncClient
    city: City

    def headers(self, scope: str = "traffic:read traffic:write", **claims: Any) -> dict[str, str]:
        return self.city.headers("traffic", scope=scope, **claims)

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None, **params: Any) -> Any:
        """The JSON of the answer, which must have this status."""
        answer = await self.client.request(method, path, json=body, params=params, headers=headers or self.headers())
        assert answer.status_code == status, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def put_network(self, **request: Any) -> httpx.Response:
        return await self.client.put("/network", params={"source": "made for a test"}, headers=self.headers(), **request)

    async def way(self, start: tuple[float, float], end: tuple[float, float], vehicle: str = "car") -> Any:
        """The answer of GET /route."""
        asked: Any = {"from": f"{start[0]},{start[1]}", "to": f"{end[0]},{end[1]}", "vehicle": vehicle}
        return await self.call("GET", "/route", **asked)

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        return self.city.sql(self.settings, statement, *arguments)

    def events(self, kind: str) -> list[Any]:
        """Data of the events of a type, oldest first."""
        rows = self.sql("SELECT envelope->'data' AS data, envelope->>'regarding' AS regarding FROM outbox WHERE envelope->>'type' = $1 ORDER BY position", kind)
        return [{"data": json.loads(row["data"]), "regarding": row["regarding"]} for row in rows]


@pytest.fixture(scope="module")
async def running_traffic(city: City) -> AsyncIterator[Traffic]:
    """The service of a module's tests."""
    settings = city.settings("traffic")
    app = create_app(service, settings)
    async with running(app) as client:
        found = Traffic(app, settings, client, city)
        found.sql(AREAS)
        answer = await found.put_network(files=grid_csv())
        assert answer.status_code == 200, answer.text
        yield found


@pytest.fixture
async def traffic(running_traffic: Traffic) -> Traffic:
    """Nothing is closed, measured or recorded."""
    for table in EMPTIED:
        await asyncio.to_thread(running_traffic.sql, f"DELETE FROM {table}")
    running_traffic.app.state.runtime.own.directory.forget()
    running_traffic.app.state.runtime.own.roads.measured()
    return running_traffic
