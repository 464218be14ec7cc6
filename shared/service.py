"""The service factory: from a declaration to an ordinary FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import MetaData

from shared.config import Settings
from shared.datasets.declaration import Dataset
from shared.events.model import Event
from shared.vocabulary import Text


@dataclass(frozen=True, kw_only=True)
class Service:
    """What a service is, read top to bottom."""

    name: str
    title: Text
    routers: Sequence[APIRouter]
    metadata: MetaData
    datasets: Sequence[Dataset] = ()
    publishes: Sequence[type[Event]] = ()
    on: Mapping[type[Event] | str, Callable[..., Awaitable[None]]] = field(default_factory=dict)
    """Handlers of others' events, by event class, or by pattern (`*`, `traffic.*`): `async (envelope, event, session)`."""
    series: bool = False
    """Whether it keeps observations (`shared/series.py`): their tables are migrated with its own."""
    tasks: Sequence[Callable[[Any], Awaitable[None]]] = ()
    """Lifespan tasks beyond the factory's own: `async (runtime)`, cancelled at shutdown."""


def now() -> datetime:
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]


def create_app(service: Service, settings: Settings | None = None) -> FastAPI:
    """The application. Settings are read when it starts, unless given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            yield

    return FastAPI(title=service.title.en, lifespan=lifespan)
