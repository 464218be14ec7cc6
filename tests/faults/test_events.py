"""Events from a sector to the hub's stream while servers die: none is lost, none takes effect twice, nobody is restarted."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import SQLAlchemyError

from services.hub.app import service as hub_service
from shared.config import Settings
from shared.service import Runtime, create_app
from shared.testing import serving
from tests.city import City
from tests.hub.events.receiving import Receiver, receiving
from tests.shared.events_under_test import Handler, Noted, eventually, probe, publish_each

EVENTS = 300


@pytest.fixture
def settings(city: City) -> Settings:
    return city.settings(probe())


@pytest.fixture
async def hub(city: City) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(create_app(hub_service, city.settings("hub", services=("hub", "probe")))) as client:
        yield client


@pytest.fixture
async def sector(settings: Settings) -> AsyncIterator[Runtime]:
    """A sector that publishes and also takes its own events."""
    app = create_app(probe(on={Noted: Handler().handle}), settings)
    async with app.router.lifespan_context(app):
        yield app.state.runtime


async def persistently(sector: Runtime, numbers: range) -> None:
    """Publish one after another; an attempt that fails is made again, as a client would. The number is the business key."""
    for number in numbers:
        while True:
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                await publish_each(sector, "x", [number])
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.005)


async def flow_through(city: City, hub: httpx.AsyncClient, sector: Runtime, fault: Callable[[], Awaitable[Any]], events: int = EVENTS) -> Receiver:
    """Publish events while a fault happens in the middle; what a receiver at the hub got."""
    async with receiving(hub, city.headers("hub", scope="hub:events")) as receiver:
        await asyncio.gather(persistently(sector, range(events)), fault())
        await eventually(lambda: len(set(receiver.numbers)) == events, seconds=60)
        await asyncio.sleep(0.5)
    return receiver


def effects(city: City, settings: Settings) -> list[int]:
    return [int(row["text"].split()[1]) for row in city.sql(settings, "SELECT text FROM notes ORDER BY id")]


async def test_redis_killed_and_started_with_an_emptied_disk(city: City, settings: Settings, hub: httpx.AsyncClient, sector: Runtime) -> None:
    async def fault() -> None:
        for _ in range(2):
            await asyncio.sleep(0.4)
            await asyncio.to_thread(city.redis.kill)
            shutil.rmtree(city.folder / "redis")
            await asyncio.sleep(0.2)
            await asyncio.to_thread(city.redis.start)

    receiver = await flow_through(city, hub, sector, fault)
    assert receiver.numbers == list(range(EVENTS)), "each once and in order"
    await eventually(lambda: effects(city, settings) == list(range(EVENTS)))


async def test_redis_killed_and_started_with_its_disk(city: City, settings: Settings, hub: httpx.AsyncClient, sector: Runtime) -> None:
    async def fault() -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(city.redis.kill)
        await asyncio.to_thread(city.redis.start)

    receiver = await flow_through(city, hub, sector, fault)
    assert receiver.numbers == list(range(EVENTS))
    await eventually(lambda: effects(city, settings) == list(range(EVENTS)))


async def test_postgresql_restarted(city: City, settings: Settings, hub: httpx.AsyncClient, sector: Runtime) -> None:
    async def fault() -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(city.postgres.stop)
        await asyncio.to_thread(city.postgres.start)

    receiver = await flow_through(city, hub, sector, fault)
    assert list(dict.fromkeys(receiver.numbers)) == list(range(EVENTS))
    ids = [event["id"] for event in receiver.events]
    assert len(set(ids)) == len(ids), "the sector's client may have repeated a change, but no event came twice"
    await eventually(lambda: sorted(set(effects(city, settings))) == list(range(EVENTS)))
    assert len(effects(city, settings)) == len(ids)
    assert city.sql(settings, "SELECT FROM dead_letters") == []


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(5))
async def test_everything_dies_again_and_again(city: City, settings: Settings, hub: httpx.AsyncClient, sector: Runtime, seed: int) -> None:
    """Twelve faults in random order. A change whose commit had an unknown outcome is made again, so a number may come twice, as two events."""
    chance = random.Random(seed)

    async def fault() -> None:
        for _ in range(12):
            await asyncio.sleep(chance.uniform(0.2, 1.5))
            match chance.choice(("flush", "kill", "empty", "drainer", "consumer", "postgres")):
                case "flush":
                    with city.redis_admin() as admin:
                        admin.flushdb()
                case "postgres":
                    await asyncio.to_thread(city.postgres.stop)
                    await asyncio.to_thread(city.postgres.start)
                case "drainer" | "consumer" as part:
                    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"
                    await asyncio.to_thread(city.sql, settings, statement, f"430300/probe {part}", role="app")
                case disk:
                    await asyncio.to_thread(city.redis.kill)
                    if disk == "empty":
                        shutil.rmtree(city.folder / "redis")
                    await asyncio.to_thread(city.redis.start)

    receiver = await flow_through(city, hub, sector, fault, events=1500)
    ids = [event["id"] for event in receiver.events]
    assert len(set(ids)) == len(ids)
    assert list(dict.fromkeys(receiver.numbers)) == list(range(1500))
    sequences = [int(event["sequence"]) for event in receiver.events]
    assert sequences == list(range(1, len(ids) + 1)), "every committed event once, in the order of its subject"
    await eventually(lambda: len(effects(city, settings)) == len(ids))
    assert [int(row["text"].split()[1]) for row in city.sql(settings, "SELECT text FROM notes ORDER BY id")] == receiver.numbers
    assert city.sql(settings, "SELECT FROM dead_letters") == []
