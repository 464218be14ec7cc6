"""What the hub keeps while it runs, at `runtime.own`: issuer, passwords, registry of sources, the client that asks them,
the newest events, what pages share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from services.hub.access.clients_file import take_clients_file
from services.hub.access.failures import Failures
from services.hub.access.issuer import Issuer
from services.hub.access.secret_hash import Passwords
from services.hub.catalog.registry import Registry
from services.hub.console.outlines import Drawing
from services.hub.console.shared_answers import SharedAnswers
from services.hub.events.live import Live
from services.hub.federation.crowd import Crowd
from services.hub.federation.kept_states import KeptStates
from services.hub.governance.measured import Measured
from services.hub.governance.recording import Accesses
from services.hub.sql.pool import Limits, Workers
from shared.client import SourceClient
from shared.service import Runtime


@dataclass(frozen=True, kw_only=True)
class Hub:
    city: str
    name: str
    """Its audience: `430300/hub`."""
    issuer: Issuer
    passwords: Passwords
    failures: Failures
    client: SourceClient
    registry: Registry
    live: Live
    accesses: Accesses = field(default_factory=Accesses)
    measured: Measured = field(default_factory=Measured)
    kept: KeptStates
    crowd: Crowd = field(default_factory=Crowd)
    sql: Workers = field(default_factory=Workers)
    overviews: SharedAnswers = field(default_factory=SharedAnswers)
    drawing: Drawing = field(default_factory=Drawing)


@asynccontextmanager
async def hold(runtime: Runtime) -> AsyncIterator[Hub]:
    """Made at the start, before anything is asked; needs no sector, and the database only for clients it does not know yet."""
    settings = runtime.settings
    folder = settings.signing_keys or settings.cache_dir / "signing-keys"
    await take_clients_file(runtime)
    registry = Registry(settings.sources)
    client = SourceClient(private_addresses=settings.private_addresses, guard=registry.check_proven)
    issuer = Issuer(settings.issuer, settings.audience, folder)
    workers = Workers(Limits(memory_mb=settings.sql_memory_mb, heavy=settings.sql_at_once, light=settings.sql_at_once))
    try:
        yield Hub(
            city=settings.city,
            name=settings.audience,
            issuer=issuer,
            passwords=Passwords(),
            failures=Failures(),
            client=client,
            registry=registry,
            live=Live(),
            kept=KeptStates(settings.kept_bytes, settings.audience, client, issuer, settings.city),
            sql=workers,
        )
    finally:
        await workers.aclose()
        await client.aclose()


async def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.runtime.own
    return hub


HubState = Annotated[Hub, Depends(_hub)]
