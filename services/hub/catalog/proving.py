"""Whether a source is who it says to be: it holds the key that is pinned for it, or pins its own the first time it is met."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import update

from services.hub.catalog.domain import Source
from services.hub.catalog.models import SourceRow
from services.hub.state import Hub
from shared.identity import NoProof, proven_key
from shared.passage import starting
from shared.service import Runtime
from shared.source_failures import SourceFailure, SourceSkipped, SourceTimeout, SourceUnproven

PATIENCE_S = 2.0
PROOF_BYTES = 16 * 1024
FIRST_USE = "first use"
_log = structlog.get_logger("catalog")


async def prove(runtime: Runtime, source: Source) -> None:
    """Put a challenge to a source, without any token, and note what came of it. Raises `SourceUnproven` if it is not who it should be.

    One that cannot be reached proves nothing, and nothing against itself.
    """
    if source.kind == "city":
        return  # asked through our own gateway, which is a source itself
    hub: Hub = runtime.own
    challenge = secrets.token_urlsafe(32)
    try:
        answer = await hub.client.ask(
            source.name,
            f"{source.url.rstrip('/')}/proof",
            starting(hub.name, PATIENCE_S),
            params=[("challenge", challenge)],
            headers={"Accept": "application/json"},
            limit_bytes=PROOF_BYTES,
            insist=True,
        )
        key = proven_key(answer.content, source.name, challenge)
    except NoProof as error:
        raise _unproven(source, f"{source.name} does not prove who it is: {error}.") from error
    except SourceFailure as failure:
        if failure.__cause__ is None and not isinstance(failure, (SourceTimeout, SourceSkipped)):  # something answered, and not with a proof
            raise _unproven(source, f"{source.name} does not prove who it is: {failure.detail}") from failure
        raise
    if source.key is None:
        await pin(runtime, source, pinned(key, FIRST_USE))
        _log.info("key of a source pinned", source=source.name, key=key["x"])
    elif source.key.get("x") != key["x"]:
        raise _unproven(source, f"At the address of {source.name} answers a server with another key than the one that is pinned for it.")
    source.proven = True


async def pin(runtime: Runtime, source: Source, key: Mapping[str, Any] | None) -> None:
    """Believe this key alone from now on, or, without one, the first that the source proves."""
    async with runtime.sessions.begin() as session:
        await session.execute(update(SourceRow).where(SourceRow.name == source.name).values(key=dict(key) if key else None))
    source.key, source.proven = key, None


def pinned(key: Mapping[str, Any] | None, by: str) -> dict[str, Any] | None:
    """A key as it is kept: with who pinned it and when."""
    return {**key, "pinned_by": by, "pinned_at": datetime.now(UTC).isoformat(timespec="seconds")} if key else None


def _unproven(source: Source, detail: str) -> SourceUnproven:
    source.proven = False
    return SourceUnproven(detail)
