"""Addresses of databases as people write them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from shared.database import driver_url, make_engine
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
