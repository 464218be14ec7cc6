"""Peer cities as sources: the gateway between cities announces whom it can ask, and the hub keeps them below the gateway's address."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.hub.catalog.domain import Source
from services.hub.catalog.models import SourceRow
from services.hub.catalog.registry import Registry
from services.hub.catalog.schemas import AnnouncedPeer
from shared.service import Runtime

_log = structlog.get_logger("catalog")


def gateway_of(city: str) -> str:
    """The one service that speaks for peers, and to which tokens for their data are addressed."""
    return f"{city}/intercity"


async def keep_peers(runtime: Runtime, registry: Registry, gateway: Source, peers: Iterable[AnnouncedPeer]) -> None:
    """Ask the peers that the gateway announces from now on, and no longer those that it does not. What an administrator added stays as it is."""
    if gateway.name != gateway_of(runtime.settings.city):
        return
    announced = {f"{peer.city}/hub": gateway.url.rstrip("/") + peer.url_path for peer in peers if peer.city != runtime.settings.city}
    kept = {name: source.url for name, source in registry.sources.items() if source.added_by == gateway.name}
    wanted = {name: url for name, url in announced.items() if name in kept or name not in registry.sources}
    if wanted == kept:
        return
    async with runtime.sessions.begin() as session:
        await session.execute(delete(SourceRow).where(SourceRow.added_by == gateway.name, SourceRow.name.not_in(wanted)))
        if wanted:
            adding = insert(SourceRow).values([{"name": name, "kind": "city", "url": url, "added_by": gateway.name} for name, url in sorted(wanted.items())])
            mine = SourceRow.added_by == gateway.name
            await session.execute(adding.on_conflict_do_update(index_elements=[SourceRow.name], set_={"url": adding.excluded.url}, where=mine))
    _log.info("peers announced", gateway=gateway.name, peers=sorted(wanted))
    await registry.reload(runtime.sessions)
    registry.changed.set()
