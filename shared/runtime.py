"""What a service is, and what it holds while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends
from redis.asyncio import Redis
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from starlette.types import ASGIApp

from shared.area_directory import AreaDirectory
from shared.bus.handlers import Handler
from shared.bus.journal import Journal
from shared.calls import Calls
from shared.config import Settings
from shared.datasets.aggregate.kept_columns import KeptColumns
from shared.datasets.bulk import BulkReader
from shared.datasets.declaration import Dataset
from shared.datasets.quality_keeping import Qualities
from shared.events.model import Event
from shared.identity import Identity
from shared.tokens import Tokens, TokenSource
from shared.vocabulary import Text


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """A question that a service answers beyond its datasets: a GET route with a JSON answer, reached through the hub as well.

    At the hub it is `GET /lookups/<id>` with the same parameters; the service is asked with the rights of the asker.
    """

    id: str
    """`worksafety.on-site-card`: begins with the service's name."""
    path: str
    """Path of the route at the service, without parameters in it."""
    title: Text


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a service is, read top to bottom."""

    name: str
    title: Text
    routers: Sequence[APIRouter]
    metadata: MetaData
    datasets: Sequence[Dataset] = ()
    publishes: Sequence[type[Event]] = ()
    on: Mapping[type[Event] | str, Handler | Journal] = field(default_factory=dict)
    """Handlers of others' events, by event class, or by pattern (`*`, `traffic.*`): `async (envelope, event, session)`."""
    lookups: Sequence[Lookup] = ()
    asks: Sequence[str] = ()
    """Services of the city that this one asks in its own name, by `Runtime.calls`: it may read there what they share, and nothing else."""
    announces: Callable[[Runtime], Awaitable[Mapping[str, Any]]] | None = None
    """What it says of itself in `GET /capabilities` beyond its datasets, events and lookups (the gateway: its peers)."""
    series: bool = False
    """Whether it keeps observations (`shared/series.py`): their tables are migrated with its own."""
    area_master: bool = False
    """Whether its area table is the city's master (the hub) rather than a copy."""
    loads: Sequence[str] = ()
    """Paths that take bulk loads, bounded by `load_limit` instead of `body_limit`."""
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = ()
    """ASGI middleware of its own, around all that every service passes requests through."""
    tasks: Sequence[Callable[[Runtime], Coroutine[Any, Any, None]]] = ()
    """Lifespan tasks beyond the factory's own, cancelled at shutdown."""
    token_source: Callable[[Runtime], TokenSource] | None = None
    """Where keys and revocations come from, if not from the hub over HTTP (the hub itself)."""
    contract: Callable[[Service], APIRouter] | None = None
    """The routes of the federation contract, if not those over its own datasets (the hub answers for all its sources)."""
    holds: Callable[[Runtime], AbstractAsyncContextManager[Any]] | None = None
    """What the service itself keeps while it runs (the hub: signing keys, registry of sources), at `runtime.own`."""


@dataclass(kw_only=True)
class Runtime:
    """What a running service holds; one per application, at `app.state.runtime`."""

    service: Service
    settings: Settings
    engine: AsyncEngine
    reader: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    publisher: Redis
    consumer: Redis
    http: httpx.AsyncClient
    tokens: Tokens = field(init=False)
    identity: Identity
    """By which others know this service."""
    areas: AreaDirectory
    calls: Calls
    bulk: BulkReader
    columns: KeptColumns
    """Values of tables that do not change, for aggregates."""
    qualities: Qualities = field(default_factory=Qualities)
    own: Any = None
    """What `Service.holds` gave."""


async def now() -> datetime:
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]
