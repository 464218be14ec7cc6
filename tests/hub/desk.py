"""A hub with some areas, and officers and sectors at its desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import text

from services.hub.app import service
from shared.config import Settings
from shared.service import create_app
from shared.testing import running, serving
from tests.city import City

OPENED = {"kind": "fire", "title_zh": "仓库火灾", "title_en": "Warehouse fire", "area": "430304", "lon": 112.94, "lat": 27.83, "crs": "wgs84"}
AREAS = ("cn", "43", "4301", "430102", "4303", "430302", "430304", "430304003")


class Desk:
    def __init__(self, client: httpx.AsyncClient, city: City, settings: Settings, sessions: Any) -> None:
        self.client, self.city, self.settings, self.sessions = client, city, settings, sessions

    async def send(self, method: str, path: str, body: Any = None, scope: str = "hub:command", **claims: Any) -> httpx.Response:
        key = claims.pop("key", None)
        headers = self.city.headers("hub", scope=scope, **claims) | ({"Idempotency-Key": key} if key else {})
        return await self.client.request(method, path, json=body, headers=headers)

    async def done(self, method: str, path: str, body: Any = None, **claims: Any) -> Any:
        answer = await self.send(method, path, body, **claims)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def open(self, **changed: Any) -> dict[str, Any]:
        found: dict[str, Any] = await self.done("POST", "/incidents", OPENED | changed)
        return found

    async def items(self, incident: str, areas: list[str] | None = None, **params: Any) -> list[dict[str, Any]]:
        """The timeline without the hub's own events, which come whenever they come."""
        found = await self.done("GET", f"/incidents/{incident}/timeline?{httpx.QueryParams(params)}", areas=areas or ["*"])
        return others(found["items"])


def others(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if not (item["event"] or {}).get("type", "").startswith("hub.")]


@asynccontextmanager
async def desk_of(city: City, *, on_port: bool = False) -> AsyncIterator[Desk]:
    """A hub in this process; on a port of its own for those who read streams."""
    settings = city.settings("hub")
    app = create_app(service, settings)
    async with (serving if on_port else running)(app) as client:
        areas = [{"code": code, "name_zh": code, **({"level": "nation"} if code == "cn" else {})} for code in AREAS]
        answer = await client.put("/areas", json=areas, headers=city.headers("hub", scope="hub:admin"))
        assert answer.json()["rejected"] == 0, answer.text
        yield Desk(client, city, settings, app.state.runtime.sessions)


async def log(desk: Desk, position_area: str | None, regarding: str | None, kind: str = "fire.incident.opened.v1") -> int:
    """Put an event into the city's log."""
    async with desk.sessions.begin() as session:
        found = await session.execute(
            text(
                "INSERT INTO event_log (id, source, type, subject, sequence, time, area, regarding, envelope) VALUES "
                "(gen_random_uuid()::text, '430300/fire', :kind, 'x/1', 1, now(), :area, :regarding, '{\"type\": \"x\"}') RETURNING position"
            ),
            {"kind": kind, "area": position_area, "regarding": regarding},
        )
        return int(found.scalar_one())
