"""An environment service on its own database, with areas, stations and series."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.env.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City

AREAS = (("43", "province"), ("4303", "city"), ("430302", "district"), ("430304", "district"), ("1101", "city"), ("110101", "district"))


@dataclass(frozen=True, slots=True)
class Env:
    """The running service and who asks it."""

    app: FastAPI
    settings: Settings
    client: httpx.AsyncClient
    city: City
    headers: dict[str, str]
    """A client that may read and write everywhere."""

    async def put(self, path: str, rows: list[dict[str, Any]], **params: Any) -> dict[str, Any]:
        answer = await self.client.put(path, json=rows, params=params, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def load(self, rows: list[dict[str, Any]], **params: Any) -> dict[str, Any]:
        answer = await self.client.post("/observations", json=rows, params=params, headers=self.headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def declare_areas(self, areas: Iterable[tuple[str, str]]) -> None:
        """Areas by code and level, their ancestors by prefix."""
        codes, levels = zip(*areas, strict=True)
        self.sql(
            "INSERT INTO areas (code, level, name_zh, kind, nation, province, city, district, recorded_by)"
            " SELECT code, level, code, 'administrative', 'cn', left(code, 2), CASE WHEN length(code) > 3 THEN left(code, 4) END,"
            " CASE WHEN length(code) > 5 THEN code END, 'test' FROM unnest($1::text[], $2::text[]) AS a (code, level)",
            list(codes),
            list(levels),
        )

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        return self.city.sql(self.settings, statement, *arguments)


def station(code: str, area: str = "430302", **others: Any) -> dict[str, Any]:
    return {"code": code, "name_zh": f"测站{code}", "name_en": f"Station {code}", "kind": "urban", "area": area, **others}


def hourly(code: str, measured: str, **others: Any) -> dict[str, Any]:
    return {"station": code, "property": measured, "timing": "begin", "interval_s": 3600, **others}


EMPTIED = (
    "TRUNCATE observations, observations_hourly, observations_history, series, series_history, stations, stations_history, outlines, outlines_history,"
    " outbox, idempotency, areas"
)


@pytest.fixture(scope="module")
async def running_env(city: City) -> AsyncIterator[Env]:
    """The service of a module's tests."""
    settings = city.settings("env")
    app = create_app(service, settings)
    async with running(app) as client:
        yield Env(app, settings, client, city, city.headers("env", scope="env:read env:write", areas=["*"], subject="client:env-system"))


@pytest.fixture
async def env(running_env: Env) -> Env:
    """Stations A and B, in two districts, that measure particles, nitrogen dioxide and ozone each hour; nothing else is recorded."""
    running_env.sql(EMPTIED)
    running_env.declare_areas(AREAS)
    running_env.app.state.runtime.own.forget()
    await running_env.put("/stations", [station("A"), station("B", "430304")])
    await running_env.put("/series", [hourly(code, measured) for code in ("A", "B") for measured in ("pm25", "pm10", "no2", "o3")])
    return running_env
