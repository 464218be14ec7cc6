"""The service factory: from a declaration to an ordinary FastAPI application."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from redis.asyncio import Redis

from shared import health, identity, log, problems
from shared.area_copy import AreaCopy
from shared.area_directory import AreaDirectory
from shared.bus import dead_letter_router, run_consumers
from shared.calls import Calls
from shared.certificates import trusted
from shared.config import Settings, arrived_settings
from shared.database import make_engine, make_sessions
from shared.datasets.aggregate.kept_columns import KeptColumns
from shared.datasets.bulk import BulkReader
from shared.datasets.quality_keeping import keep_qualities
from shared.datasets.routes import dataset_router
from shared.ending import end_all
from shared.identity import Identity
from shared.memory import keep_freed_memory
from shared.middleware import Requests
from shared.outbox import run_drainer
from shared.runtime import Lookup, Now, Runtime, Service, now
from shared.tokens import HubTokens, Tokens

__all__ = ["VERSION", "Lookup", "Now", "Runtime", "Service", "create_app", "now"]
VERSION = "0.1.0"
_log = structlog.get_logger("service")


@asynccontextmanager
async def _running(service: Service, settings: Settings) -> AsyncIterator[Runtime]:
    engine = make_engine(settings.database_url, statement_timeout_s=settings.statement_timeout_s, name=settings.audience)
    reader = make_engine(settings.reader_url, statement_timeout_s=settings.statement_timeout_s, name=f"{settings.audience} reader")
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(5.0), follow_redirects=False, trust_env=False, verify=trusted()) as http,
        _redis(settings.redis_publish_url) as publisher,
        _redis(settings.redis_consume_url) as consumer,
        AsyncExitStack() as stack,
    ):
        runtime = Runtime(
            service=service,
            settings=settings,
            engine=engine,
            reader=reader,
            sessions=make_sessions(engine),
            publisher=publisher,
            consumer=consumer,
            http=http,
            areas=AreaDirectory(reader, None if service.area_master else AreaCopy(engine, http, settings.hub_url, settings.cache_dir)),
            calls=Calls(settings, http),
            identity=Identity.open(settings.key_file, settings.audience),
            bulk=BulkReader(settings),
            columns=KeptColumns(settings.columns_bytes),
        )
        stack.push_async_callback(runtime.calls.aclose)
        stack.push_async_callback(runtime.bulk.aclose)
        if service.holds:
            runtime.own = await stack.enter_async_context(service.holds(runtime))
        runtime.tokens = Tokens(settings, service.token_source(runtime) if service.token_source else HubTokens(settings, http), http=http)
        runtime.tokens.load()
        standing = (runtime.tokens.run(), runtime.areas.run(), run_drainer(runtime), run_consumers(runtime), keep_qualities(runtime))
        tasks = [asyncio.create_task(work) for work in (*standing, *(start(runtime) for start in service.tasks))]
        try:
            yield runtime
        finally:
            await end_all(tasks)
            await asyncio.gather(engine.dispose(), reader.dispose())


def _redis(url: Any) -> Redis:
    return Redis.from_url(
        url.get_secret_value() if url else "redis://127.0.0.1:1", socket_connect_timeout=2, socket_timeout=15, health_check_interval=30, decode_responses=True
    )


def create_app(service: Service, settings: Settings | None = None) -> FastAPI:
    """The application. Settings are read from `LIANDONG_CONFIG` when it starts, unless given."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings is None:
            log.configure(service.name)
            keep_freed_memory()
        async with _running(service, settings or await arrived_settings()) as runtime:
            app.state.runtime = runtime
            if settings is None:
                gc.freeze()  # 180,000 objects that live as long as the process: the collector need not walk them while an emergency waits
            _log.info("started", version=VERSION, city=runtime.settings.city)
            yield
        _log.info("stopped")

    app = FastAPI(title=f"Liandong {service.title.en} · {service.title.zh}", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(dead_letter_router)
    for router in service.routers:
        app.include_router(router)
    if service.datasets or service.lookups:
        app.include_router((service.contract or dataset_router)(service))
        app.include_router(identity.router)
    app.add_middleware(Requests, service=service.name, load_paths=service.loads)
    for own in service.middleware:
        app.add_middleware(own)
    return app
