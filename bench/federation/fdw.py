"""postgres_fdw as a peer: a seventh database of the same server with the others' tables as foreign tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import make_url

OPTIONS = "use_remote_estimate 'true', async_capable 'true', fetch_size '50000', fdw_startup_cost '10'"
"""Estimates of the owner's planner, all sources at once, few round trips: with 100 rows a fetch it takes twice as long."""
TABLES = ("events", "observations", "series", "observations_hourly", "checks", "premises")


@asynccontextmanager
async def foreign(admin_url: str, reader_urls: Mapping[str, str]) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the seventh database; each source is a schema named like it."""
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute("DROP DATABASE IF EXISTS together WITH (FORCE)")
        await admin.execute("CREATE DATABASE together")
    finally:
        await admin.close()
    connection = await asyncpg.connect(make_url(admin_url).set(database="together").render_as_string(hide_password=False))
    try:
        await connection.execute("CREATE EXTENSION postgres_fdw; SET work_mem = '64MB'; SET jit = off; SET timezone = 'UTC'")
        for name, url in reader_urls.items():
            await connection.execute(_server(name, url))
        yield connection
    finally:
        await connection.close()


def _server(name: str, url: str) -> str:
    address = make_url(url)
    return f"""
        CREATE SERVER {name} FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '{address.host}', port '{address.port}', dbname '{address.database}', {OPTIONS});
        CREATE USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (user '{address.username}', password '{address.password}');
        CREATE SCHEMA {name};
        IMPORT FOREIGN SCHEMA public LIMIT TO ({", ".join(TABLES)}) FROM SERVER {name} INTO {name};
    """


async def rows_of(connection: asyncpg.Connection, sql: str) -> list[list[Any]]:
    """The rows, moments as seconds."""
    found = await connection.fetch(sql)
    return [[value.timestamp() if hasattr(value, "timestamp") else value for value in row] for row in found]
