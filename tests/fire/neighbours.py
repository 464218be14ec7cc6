"""What stands in for traffic, work safety and the hub at the edge of the fire service, and releases as they would report them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from ulid import ULID

from services.fire.app import service
from services.fire.crews import client as cards
from services.fire.dispatch import actions, handlers, tasks
from services.fire.dispatch import client as routes
from services.fire.roads import handlers as roads
from services.fire.stations.domain import distance_m
from shared.config import Settings
from shared.events.env import OutlineComputed, OutlineLifted
from shared.events.model import CloudEvent, Event
from shared.events.traffic import ClosureEnded, ClosureOpened, NetworkReplaced
from shared.events.worksafety import ReleaseConcluded, ReleaseReported
from shared.runtime import Runtime
from shared.service import create_app
from shared.testing import serving
from tests.city import City
from tests.fire.conftest import AREAS, Fire

SITE = (112.95, 27.85)
HANDLERS = {
    ReleaseReported: handlers.release_reported,
    ReleaseConcluded: handlers.release_concluded,
    OutlineComputed: handlers.outline_computed,
    OutlineLifted: handlers.outline_lifted,
    ClosureOpened: roads.keep_closure,
    ClosureEnded: roads.end_closure,
    NetworkReplaced: roads.network_replaced,
}
CARD = {"sites": [{"site": "430300:S1", "name": "湘江化工", "substances": [{"cas": "7782-50-5"}]}], "as_of": "2026-11-22T08:00:00Z"}


@dataclass
class Neighbours:
    """A hub and a traffic service of a few lines; each can be silent."""

    card: dict[str, Any] | None = field(default_factory=lambda: dict(CARD))
    traffic: bool = True
    network: bytes | None = None
    slow_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    cards: int = 0
    detour: float = 0.0
    """Shifts every route, as another state of the roads would."""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/oauth/token")
        async def token() -> dict[str, Any]:
            return {"access_token": "for-a-fake", "expires_in": 900}

        @app.get("/lookups/worksafety.on-site-card")
        async def on_site_card() -> Response:
            self.cards += 1
            if self.card is None:
                return JSONResponse({"title": "Source failed"}, 502)
            return JSONResponse({"answer": self.card, "coverage": {}})

        @app.post("/travel-times")
        async def travel_times(request: Request) -> Response:
            asked = await request.json()
            self.asked.append(asked)
            await asyncio.sleep(self.slow_s)
            if not self.traffic:
                return JSONResponse({"title": "Internal error"}, 500)
            return JSONResponse(self._times(asked))

        @app.get("/network")
        async def network(request: Request) -> Response:
            if self.network is None:
                return JSONResponse({"title": "No road network"}, 409)
            return Response(self.network, media_type="application/octet-stream", headers={"ETag": '"one"'})

        return app

    def _times(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Straight ways at 10 m/s, the soonest with routes."""
        end = (asked["destination"]["lon"], asked["destination"]["lat"])
        times = {each["id"]: round(distance_m(each["lon"], each["lat"], *end) / 10, 1) for each in asked["origins"]}
        kinds = {each["id"]: each["vehicle"] for each in asked["origins"]}
        ordered = sorted(times, key=lambda unit: times[unit])
        soonest = [unit for kind in set(kinds.values()) for unit in [one for one in ordered if kinds[one] == kind][: asked["routes"]]]
        starts = {each["id"]: [each["lon"], each["lat"]] for each in asked["origins"]}
        routes = {
            unit: {
                "geometry": {"type": "LineString", "coordinates": [starts[unit], [end[0], end[1] + self.detour]]},
                "length_m": 10 * times[unit],
                "travel_s": times[unit],
                "ends_at": {"lon": end[0], "lat": end[1]},
                "left_m": 0.0,
                "enclosed": False,
            }
            for unit in soonest
        }
        return {"times": [{"id": unit, "travel_s": seconds} for unit, seconds in times.items()], "routes": routes, "network": "n1", "as_of": now_text()}


def now_text() -> str:
    return datetime.now(UTC).isoformat()


def release(name: str, revision: int = 1, **values: Any) -> ReleaseReported:
    stated = {"substance": "7782-50-5", "name_zh": "氯", "name_en": "chlorine", "un": "1017", "rate_kg_s": 0.8, "amount_kg": None}
    place = {"lon": SITE[0], "lat": SITE[1], "area": "430304"}
    return ReleaseReported(release=name, revision=revision, site="S1", began_at=datetime.now(UTC), regarding=f"releases/{name}", **(stated | place | values))


def square(lon: float, lat: float, half: float) -> dict[str, Any]:
    ring = [[lon - half, lat - half], [lon + half, lat - half], [lon + half, lat + half], [lon - half, lat + half], [lon - half, lat - half]]
    return {"type": "Polygon", "coordinates": [ring]}


def outline(name: str, revision: int = 1, half: float = 0.005, **values: Any) -> OutlineComputed:
    stated = {"substance": "7782-50-5", "un": "1017", "method": "erg-isolation", "source": "ERG 2024, table 1", "valid": True}
    measures = {"isolation_m": 60.0, "protective_m": 400.0, "wind_from_deg": 90.0, "wind_speed_m_s": 3.0}
    place = {"geometry": square(*SITE, half), "lon": SITE[0], "lat": SITE[1], "area": "430304", "computed_at": datetime.now(UTC)}
    return OutlineComputed(release=name, revision=revision, regarding=f"releases/{name}", **(stated | measures | place | values))


class Dispatching(Fire):
    """The service beside its neighbours, fed with their events."""

    def __init__(self, client: httpx.AsyncClient, city: City, settings: Settings, runtime: Runtime, neighbours: Neighbours) -> None:
        super().__init__(client, city, settings)
        self.runtime, self.neighbours = runtime, neighbours

    async def hear(self, *events: Event) -> None:
        """Let the service handle events, all in one transaction, as its consumer would."""
        async with self.runtime.sessions() as session, session.begin():
            session.info["runtime"] = self.runtime
            for event in events:
                values = {"regarding": event.regarding, "area": event.area, "data": event.data()}
                envelope = CloudEvent(id=str(ULID()), source="/430300/x", type=event.type, subject="x", time=datetime.now(UTC), sequence="1", **values)
                await HANDLERS[type(event)](envelope, event, session)

    async def units(self, *units: tuple[str, str, float, str]) -> None:
        """Units by code, kind, how far east of the site they are (degrees), and capabilities; each at a station of its own."""
        stations = [{"code": f"ST-{code}", "lon": SITE[0] + east, "lat": SITE[1], "crs": "wgs84", "area": "430304"} for code, _, east, _ in units]
        rows = [{"code": code, "kind": kind, "station": f"ST-{code}"} | ({"capabilities": can} if can else {}) for code, kind, _, can in units]
        for path, body in (("/stations", stations), ("/units", rows)):
            answer = await self.client.put(path, json=body, headers=self.headers())
            assert answer.json()["rejected"] == 0, answer.text

    async def state(self, unit: str, state: str, at: datetime | str) -> dict[str, Any]:
        body = {"state": state, "at": at if isinstance(at, str) else at.isoformat()}
        answer = await self.client.post(f"/units/{unit}/state", json=body, headers=self.headers())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def messages(self) -> list[dict[str, Any]]:
        rows = self.city.sql(self.settings, "SELECT * FROM crew_messages ORDER BY position")
        return [{**row, "content": orjson.loads(row["content"])} for row in rows]

    async def said(self, incident: str, revision: int | None = None, **claims: Any) -> dict[str, Any]:
        claims.setdefault("clearance", {"grade": "important", "personal": "none"})
        params = {"revision": revision} if revision else {}
        answer = await self.client.get(f"/incidents/{incident}/crews-message", params=params, headers=self.headers(**claims))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def until(self, number: int, seconds: float = 30) -> list[dict[str, Any]]:
        """Until so many messages were written and nothing is under way."""
        async with asyncio.timeout(seconds):
            while len(found := self.messages()) < number or self.runtime.own.dispatcher._running or self.runtime.own.dispatcher.ready:
                await asyncio.sleep(0.01)
        assert len(found) == number
        return found

    async def incident(self, name: str) -> dict[str, Any]:
        answer = await self.client.get(f"/incidents/{name}", headers=self.headers())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def dispatching(city: City, neighbours: Neighbours | None = None, **overrides: Any) -> AsyncIterator[Dispatching]:
    """The fire service with its neighbours, all on loopback."""
    beside = neighbours or Neighbours()
    with pytest.MonkeyPatch.context() as patch:
        for client in (cards, routes):  # on a busy machine a neighbour in this very process may take longer than an emergency allows
            patch.setattr(client, "DEADLINE_S", 3.0)
        patch.setattr(routes, "COPY_S", 10.0)
        patch.setattr(tasks, "JOB_S", 20.0)
        patch.setattr(actions, "LEASE_S", 25.0)
        async with _served(city, beside, overrides) as found:
            yield found


@asynccontextmanager
async def _served(city: City, beside: Neighbours, overrides: dict[str, Any]) -> AsyncIterator[Dispatching]:
    async with serving(beside.app()) as other:
        url = str(other.base_url).rstrip("/")
        settings = city.settings("fire", **({"hub_url": url, "addresses": {"traffic": url}, "client_secret": "known"} | overrides))
        city.sql(settings, AREAS)
        app = create_app(service, settings)
        async with serving(app) as client:
            yield Dispatching(client, city, settings, app.state.runtime, beside)
