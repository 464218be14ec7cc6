"""The watch service with a few reports, running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from shared.config import Settings
from shared.service import create_app
from shared.testing import running
from tests.city import City
from tests.shared.datasets.watch import DDL, SERVICE

POSTS = "INSERT INTO posts (code, name, keeper, recorded_by) VALUES ('p1', 'North gate', 'Li', 'test'), ('p2', 'South gate', 'Wu', 'test')"
REPORTS = """
INSERT INTO reports (id, kind, level, height, urgent, seen_at, day, area, lon, lat, observer, plan, sketch, post, recorded_by) VALUES
 ('r1', 'flood', 3, 1.5, true,  '2026-11-01T00:00:00Z', '2026-11-01', '430302', 112.90, 27.80, 'Zhang', 'plan a', 'sketch a', 'p1', 'test'),
 ('r2', 'fire',  1, NULL, false, '2026-11-01T12:00:00Z', '2026-11-01', '430302001', 112.95, 27.85, 'Wang', 'plan b', 'sketch b', 'p2', 'test'),
 ('r3', 'crowd', NULL, 0.5, NULL, '2026-11-02T00:00:00Z', NULL, '430304', 179.90, -10.0, 'Zhao', NULL, NULL, NULL, 'test'),
 ('r4', NULL,    7, -2.0, true,  '2026-11-03T00:00:00Z', '2026-11-03', '430103', -179.90, -10.0, 'Qian', NULL, NULL, 'p1', 'test'),
 ('r5', '水',     5, 2.5, false, '2026-11-04T00:00:00.000001Z', '2026-11-04', '43', NULL, NULL, 'Sun', NULL, NULL, 'p9', 'test')
"""
OUTLINES = """
INSERT INTO outlines (site, part, area, geometry, extent, recorded_by) VALUES
 ('00000000-0000-0000-0000-000000000001', 1, '430302', '{"type":"LineString","coordinates":[[112.9,27.8],[113.0,27.9]]}',
  box(point(112.9,27.8), point(113.0,27.9)), 'test'),
 ('00000000-0000-0000-0000-000000000001', 2, '430302', NULL, NULL, 'test')
"""
ORDERS = "INSERT INTO orders (id, text, recorded_by) VALUES (1, 'Keep watch', 'test'), (-2, 'Keep quiet', 'test')"


@dataclass
class Watch:
    """A running watch service, and callers of it."""

    city: City
    settings: Settings
    app: FastAPI
    client: httpx.AsyncClient

    def headers(self, **claims: Any) -> dict[str, str]:
        return self.city.headers("watch", **({"scope": "watch:read"} | claims))

    async def get(self, path: str, *, headers: dict[str, str] | None = None, claims: dict[str, Any] | None = None, **parameters: Any) -> httpx.Response:
        """GET with a token that sees everything but what is personal, important or not shared, unless `claims` say otherwise."""
        return await self.client.get(path, params=parameters or None, headers={**self.headers(**(claims or {"scope": "hub:query"})), **(headers or {})})

    async def ids(self, **parameters: Any) -> list[str]:
        """The ids of the reports that a query finds."""
        answer = await self.get("/collections/watch.reports/items", **parameters)
        assert answer.status_code == 200, answer.text
        return [feature["id"] for feature in answer.json()["features"]]

    def sql(self, statement: str, *arguments: Any, role: str = "app") -> list[Any]:
        return list(self.city.sql(self.settings, statement, *arguments, role=role))


@contextmanager
def statements(watch: Watch) -> Iterator[list[str]]:
    """The statements that the reader role runs meanwhile."""
    engine = watch.app.state.runtime.reader.sync_engine
    asked: list[str] = []

    def note(*arguments: Any) -> None:
        asked.append(arguments[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


@asynccontextmanager
async def watching(city: City, **overrides: Any) -> AsyncIterator[Watch]:
    """A watch service with a database of its own."""
    settings = city.settings(SERVICE, ddl=DDL, **overrides)
    for statement in (POSTS, REPORTS, OUTLINES, ORDERS):
        city.sql(settings, statement, role="app")
    app = create_app(SERVICE, settings)
    async with running(app) as client:
        yield Watch(city, settings, app, client)


@pytest.fixture(scope="module")
async def watch(city: City) -> AsyncIterator[Watch]:
    """One service for all tests of a module; they only read."""
    async with watching(city) as made:
        yield made


@pytest.fixture
async def own_watch(city: City) -> AsyncIterator[Watch]:
    """A service whose data a test may change."""
    async with watching(city) as made:
        yield made
