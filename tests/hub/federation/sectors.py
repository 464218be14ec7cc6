"""Sectors for tests of the federation: two services that share fire.calls, one that shares air.readings, served on real ports."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import BigInteger, Column, DateTime, Double, Text, insert
from sqlalchemy import Table as SqlTable

from services.hub.app import service as hub_service
from services.hub.catalog.domain import Source
from services.hub.catalog.heartbeat import listen
from shared.config import Settings
from shared.database import new_metadata
from shared.datasets.declaration import Dataset, Field, Point
from shared.datasets.history import history_of, history_triggers_ddl, recorded_columns
from shared.service import Service, create_app
from shared.testing import serving
from shared.vocabulary import Personal
from shared.vocabulary import Text as Words
from tests.city import CITY, City

START = datetime(2026, 11, 1, tzinfo=UTC)


def calls_service(name: str) -> Service:
    metadata = new_metadata()
    table = SqlTable(
        "calls",
        metadata,
        Column("id", Text, primary_key=True),
        Column("area", Text),
        Column("received_at", DateTime(timezone=True), nullable=False),
        Column("kind", Text, nullable=False),
        Column("response_s", Double),
        Column("units", BigInteger),
        Column("phone", Text),
        Column("lon", Double),
        Column("lat", Double),
        *recorded_columns(),
    )
    history_of(table)
    dataset = Dataset(
        id="fire.calls",
        title=Words("接警记录", "Calls for service"),
        description=Words("每次接警一行", "One row per call"),
        owner=Words("消防救援", "Fire and rescue"),
        table=table,
        time="received_at",
        geometry=Point(),
        fields=(
            Field(name="id", type="string", title=Words("编号", "Identifier"), required=True),
            Field(name="area", type="string", title=Words("区域", "Area")),
            Field(name="received_at", type="datetime", title=Words("接警时间", "Received"), required=True),
            Field(name="kind", type="string", title=Words("类别", "Kind"), required=True),
            Field(name="response_s", type="number", title=Words("响应时间", "Response time"), unit="s"),
            Field(name="units", type="integer", title=Words("车辆数", "Units")),
            Field(name="phone", type="string", title=Words("电话", "Telephone"), personal=Personal.PERSONAL),
        ),
    )
    return Service(name=name, title=Words("消防", "Fire"), routers=[], metadata=metadata, datasets=[dataset])


def air_service() -> Service:
    metadata = new_metadata()
    table = SqlTable(
        "readings",
        metadata,
        Column("id", Text, primary_key=True),
        Column("area", Text),
        Column("time", DateTime(timezone=True), nullable=False),
        Column("value", Double),
        *recorded_columns(),
    )
    history_of(table)
    dataset = Dataset(
        id="air.readings",
        title=Words("空气", "Air"),
        description=Words("空气", "Air"),
        owner=Words("环境", "Environment"),
        table=table,
        time="time",
        fields=(
            Field(name="id", type="string", title=Words("编号", "Identifier"), required=True),
            Field(name="area", type="string", title=Words("区域", "Area")),
            Field(name="time", type="datetime", title=Words("时间", "Time"), required=True),
            Field(name="value", type="number", title=Words("值", "Value"), unit="ug/m3"),
        ),
    )
    return Service(name="air", title=Words("空气", "Air"), routers=[], metadata=metadata, datasets=[dataset])


SERVICES = {"brigade": calls_service("brigade"), "harbour": calls_service("harbour"), "air": air_service()}
AREAS = ("430302", "430304", "430321")
KINDS = ("structure_fire", "vehicle_fire", "rescue")


def calls(prefix: str, count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Calls with repeated times, missing values and values that no binary fraction holds."""
    chance = random.Random(f"{prefix}{seed}")
    return [
        {
            "id": f"{prefix}-{number:05d}",
            "area": chance.choice(AREAS),
            "received_at": START + timedelta(minutes=chance.randrange(0, 3 * 24 * 60, 7)),
            "kind": chance.choice(KINDS),
            "response_s": round(chance.expovariate(1 / 400), 1) if chance.random() > 0.1 else None,
            "units": chance.randrange(1, 9),
            "phone": f"1{chance.randrange(10**10)}",
            "lon": 112.9 + chance.random() / 10,
            "lat": 27.8 + chance.random() / 10,
            "recorded_by": "client:test",
        }
        for number in range(count)
    ]


def readings(count: int) -> list[dict[str, Any]]:
    chance = random.Random(count)
    return [
        {
            "id": f"r-{number:05d}",
            "area": chance.choice(AREAS[:2]),
            "time": START + timedelta(hours=chance.randrange(0, 48)),
            "value": round(chance.uniform(3, 300), 1),
            "recorded_by": "client:test",
        }
        for number in range(count)
    ]


@dataclass
class Federation:
    """A hub and its sectors, all on loopback ports."""

    city: City
    app: FastAPI
    client: httpx.AsyncClient
    apps: dict[str, FastAPI]
    settings: dict[str, Settings]

    def headers(self, *, scope: str = "hub:query", **claims: Any) -> dict[str, str]:
        claims.setdefault("clearance", {"grade": "important", "personal": "none"})
        return self.city.headers("hub", scope=scope, **claims)

    async def aggregate(self, question: dict[str, Any], **claims: Any) -> httpx.Response:
        """Asks with a deadline that a busy machine keeps too, unless the question has its own."""
        return await self.client.post("/aggregate", json={"deadline_ms": 20_000, **question}, headers=self.headers(**claims))

    async def meet(self) -> None:
        """Let the hub hear every source now instead of at its next heartbeat."""
        registry = self.app.state.runtime.own.registry
        await registry.reload(self.app.state.runtime.sessions)
        for source in list(registry.sources.values()):
            await listen(self.app.state.runtime, source, describe=True)

    def source(self, name: str) -> Source:
        found: Source = self.app.state.runtime.own.registry.sources[name]
        return found


async def fill(app: FastAPI, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        async with app.state.runtime.engine.begin() as connection:
            await connection.execute(insert(app.state.runtime.service.datasets[0].table), list(rows))


def settings_of(city: City, name: str, code: str = CITY) -> Settings:
    """Settings with a fresh database that keeps history."""
    service = SERVICES[name]
    return city.settings(service, ddl=history_triggers_ddl(service.datasets[0].table.name), city=code)


@asynccontextmanager
async def sector(city: City, name: str, rows: Sequence[dict[str, Any]], code: str = CITY) -> AsyncIterator[tuple[FastAPI, str, Settings]]:
    """One sector with its rows; its address."""
    service = SERVICES[name]
    settings = settings_of(city, name, code)
    app = create_app(service, settings)
    async with serving(app) as client:
        await fill(app, rows)
        yield app, str(client.base_url).rstrip("/"), settings


@asynccontextmanager
async def federation(
    city: City, sources: dict[str, Sequence[dict[str, Any]]], also: dict[str, str] | None = None, *, code: str = CITY, port: int = 0, **settings: Any
) -> AsyncIterator[Federation]:
    """A hub over real sectors, and over whatever else listens at the addresses in `also`; `settings` are the hub's."""
    async with AsyncExitStack() as stack:
        made = {name: await stack.enter_async_context(sector(city, name, rows, code)) for name, rows in sources.items()}
        addresses = {f"{code}/{name}": url for name, (_, url, _) in made.items()} | (also or {})
        app = create_app(hub_service, city.settings("hub", sources=addresses, city=code, **settings))
        client = await stack.enter_async_context(serving(app, port))
        found = Federation(city, app, client, {name: app for name, (app, _, _) in made.items()}, {name: settings for name, (_, _, settings) in made.items()})
        await found.meet()
        yield found
