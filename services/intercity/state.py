"""What the gateway keeps while it runs, at `runtime.own`: keys, peers, agreements, the log's writer, the client that asks peers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from services.intercity.agreements.client import OwnCatalogue
from services.intercity.agreements.reading import Agreements
from services.intercity.messages.domain import Bucket
from services.intercity.peers.keyring import Keyring
from services.intercity.peers.reading import Peers
from services.intercity.proofs.ledger import Ledger
from shared.client import SourceClient
from shared.runtime import Runtime


@dataclass(kw_only=True)
class Gateway:
    runtime: Runtime
    keys: Keyring
    peers: Peers
    agreements: Agreements
    catalogue: OwnCatalogue
    ledger: Ledger
    client: SourceClient
    rates: dict[str, Bucket] = field(default_factory=dict)
    """By agreement or peer."""
    told: dict[str, Bucket] = field(default_factory=dict)
    """How often refusals are recorded, by peer and kind: an attacker must not fill the log."""
    checkpoints: dict[str, str] = field(default_factory=dict)
    """The newest checkpoint that each peer has sent, yet to be checked."""
    described: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What peers say of the datasets that they share with us."""
    to_deliver: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something new to deliver."""

    @property
    def city(self) -> str:
        return self.runtime.settings.city

    def rate(self, key: str, per_minute: float) -> Bucket:
        bucket = self.rates.get(key)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self.rates[key] = Bucket(per_minute)
        return bucket


@asynccontextmanager
async def hold(runtime: Runtime) -> AsyncIterator[Gateway]:
    """Made at the start; asks nobody, and the database only for how far the log has come, once it is needed."""
    settings = runtime.settings
    keys = Keyring(settings.cache_dir / "secrets")
    client = SourceClient(private_addresses=settings.private_addresses)
    try:
        yield Gateway(
            runtime=runtime,
            keys=keys,
            peers=Peers(runtime.sessions),
            agreements=Agreements(runtime.sessions),
            catalogue=OwnCatalogue(runtime.calls, settings.city),
            ledger=Ledger(runtime.sessions, keys, settings.city),
            client=client,
        )
    finally:
        await client.aclose()


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.runtime.own
    return gateway


GatewayState = Annotated[Gateway, Depends(_gateway)]
