"""Addresses of databases as people write them."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from shared.database import at_once, driver_url, make_engine
from tests.city import City


def test_an_address_of_libpq_becomes_one_of_the_driver() -> None:
    made = driver_url("postgresql://me:p%40ss@db.example:6543/food?sslmode=verify-full&options=-c%20x%3D1")
    assert (made.drivername, made.password, made.port, made.database) == ("postgresql+asyncpg", "p@ss", 6543, "food")
    assert dict(made.query) == {"ssl": "verify-full", "options": "-c x=1"}


async def test_encryption_is_insisted_on_where_the_address_says_so(city: City) -> None:
    plain = make_engine(SecretStr(f"{city.postgres_url}?sslmode=disable"), statement_timeout_s=5)
    async with plain.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await plain.dispose()
    encrypted = make_engine(SecretStr(f"{city.postgres_url}?sslmode=require"), statement_timeout_s=5)
    with pytest.raises(ConnectionError, match="SSL"):
        await encrypted.connect()
    await encrypted.dispose()


async def test_a_pool_notices_that_its_connections_were_ended_whether_they_idled_or_not(city: City) -> None:
    engine = make_engine(SecretStr(city.postgres_url), statement_timeout_s=5, name="ended")
    other = make_engine(SecretStr(city.postgres_url), statement_timeout_s=5)
    for idle_s in (0.0, 1.1):
        async with engine.connect() as first, engine.connect() as second:
            assert [await each.scalar(text("SELECT 1")) for each in (first, second)] == [1, 1]
        async with other.connect() as connection:
            ended = await connection.scalars(text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ended'"))
            assert list(ended) == [True, True]
            await asyncio.sleep(idle_s)
            assert await connection.scalar(text("SELECT 1")) == 1
        async with engine.connect() as first, engine.connect() as second:
            assert [await each.scalar(text("SELECT 1")) for each in (first, second)] == [1, 1]
    await asyncio.sleep(1.1)
    async with engine.connect() as idled:
        assert await idled.scalar(text("SELECT 1")) == 1, "one that idled and lives"
    await engine.dispose()
    await other.dispose()


async def test_a_statement_alone_is_had_or_left_to_the_ordinary_way(city: City) -> None:
    engine = make_engine(SecretStr(city.postgres_url), statement_timeout_s=0.3, pool=2)
    for _ in range(3):
        assert list(map(tuple, await at_once(engine, "SELECT $1::int + 1", 1) or ())) == [(2,)]
        assert await at_once(engine, "SELECT pg_sleep(5)") is None, "the engine's bound on a statement holds"
        assert await at_once(engine, "SELECT pg_terminate_backend(pg_backend_pid())") is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(at_once(engine, "SELECT pg_sleep(0.2)"), 0.05)
    async with engine.connect() as first, engine.connect() as second:
        assert [await each.scalar(text("SELECT 1")) for each in (first, second)] == [1, 1]
        await first.execute(text("CREATE TEMPORARY TABLE left_open (id integer)"))
    assert list(map(tuple, await at_once(engine, "SELECT to_regclass('left_open')::text") or ())) == [(None,)]
    await engine.dispose()
    nowhere = make_engine(SecretStr("postgresql://nobody@127.0.0.1:1/nothing"), statement_timeout_s=1)
    assert await at_once(nowhere, "SELECT 1") is None
    await nowhere.dispose()
