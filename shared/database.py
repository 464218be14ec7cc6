"""PostgreSQL: engines of the three roles, one transaction per request, names of constraints."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

from asyncpg import InterfaceError, InternalClientError, PostgresError
from fastapi import Depends, Request
from sqlalchemy import URL, MetaData, event, make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

if TYPE_CHECKING:
    from pydantic import SecretStr

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def new_metadata() -> MetaData:
    """A metadata of its own for each service, with one naming convention for all."""
    return MetaData(naming_convention=CONVENTION)


IDLE_S = 1.0
"""A connection that was used more recently is taken as it is unless it is known to be closed: servers say so when they end, and take longer to restart."""
core_metadata = new_metadata()
"""The tables that every service has: outbox, processed events, dead letters, areas, idempotency records, changes."""


def driver_url(url: str) -> URL:
    """An address as libpq writes it (`?sslmode=verify-full`) for the driver, which says `ssl`; PGSSLROOTCERT names the authority."""
    made = make_url(url).set(drivername="postgresql+asyncpg")
    mode = made.query.get("sslmode")
    return made.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode}) if mode else made


def libpq_url(url: str, **options: str) -> str:
    """An address with more of libpq's options (`application_name`, `options`); libpq does not read `+` as a space."""
    made = make_url(url).set(drivername="postgresql")
    query = urlencode({**made.query, **options}, quote_via=quote)
    return f"{made.set(query={}).render_as_string(hide_password=False)}?{query}"


def make_engine(url: SecretStr, *, statement_timeout_s: float, pool: int = 5, name: str = "liandong") -> AsyncEngine:
    """An engine with a small pool that notices a restarted server before it uses a connection; the one used last goes first, with its statements prepared."""
    engine = create_async_engine(
        driver_url(url.get_secret_value()),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=10,
        pool_use_lifo=True,
        pool_recycle=1800,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": name,
                "timezone": "UTC",
                "statement_timeout": str(int(statement_timeout_s * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        },
    )
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _check_alive)
    return engine


def _note_use(_: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _check_alive(connection: Any, record: Any, _: Any) -> None:
    """One round trip for a connection that idled, where the pool's own pre-ping makes four for each; the whole pool is renewed if it is dead."""
    used = record.info.get("used")
    if used is None:
        return
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError
    if time.monotonic() - used < IDLE_S:
        return
    try:
        connection.run_async(lambda driver: driver.execute("SELECT"))
    except (PostgresError, InterfaceError, InternalClientError, OSError, TimeoutError) as error:  # dead, or left in the middle of a statement
        raise InvalidatePoolError from error


def make_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False)


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    """One request, one transaction: committed when the route returns, rolled back when it raises."""
    async with request.app.state.runtime.sessions() as session, session.begin():
        yield session


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A read-only connection of the reader role's engine, in one repeatable-read snapshot."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


async def at_once(engine: AsyncEngine, statement: str, *given: Any) -> list[Any] | None:
    """The rows of one statement outside of any transaction, or None if it cannot be had: then the ordinary way says what is wrong.

    A transaction around it, and all that stands between it and the driver, take longer than the statement. Its parameters are `$1`, `$2`, …
    """
    try:
        taken = await engine.raw_connection()
    except (engine.dialect.loaded_dbapi.Error, OSError, TimeoutError):
        return None
    try:
        rows: list[Any] = await taken.driver_connection.fetch(statement, *given)  # type: ignore[union-attr]  # asyncpg's own
    except (PostgresError, InterfaceError, InternalClientError, OSError, TimeoutError):
        taken.invalidate()
        return None
    except BaseException:  # given up in the middle
        taken.invalidate()
        raise
    taken.close()
    return rows


async def _reader(request: Request) -> AsyncIterator[AsyncConnection]:
    async with reading(request.app.state.runtime.reader) as connection:
        yield connection


Session = Annotated[AsyncSession, Depends(_session, scope="function")]
Reader = Annotated[AsyncConnection, Depends(_reader, scope="function")]
