"""Proofs out of the log: that an entry is in it, and that it has only grown."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy import select

from services.intercity.models import log_entries
from services.intercity.proofs.domain import consistency_ranges, hash_of, inclusion_ranges, peaks
from services.intercity.proofs.ledger import frontier_of, nodes_at, root_of
from services.intercity.state import Gateway
from shared.errors import InvalidRequest, NotFound


def encoded(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]


async def consistency(gateway: Gateway, first: int, second: int) -> dict[str, Any]:
    """The proof that the log of `second` entries begins with that of `first` (RFC 9162, 2.1.4)."""
    await _up_to(gateway, second)
    if not 0 <= first <= second:
        raise InvalidRequest("first is the smaller size.", pointer="/first")
    hashes = await _hashes(gateway, consistency_ranges(first, second))
    return {"first": first, "second": second, "root": await _root(gateway, second), "proof": encoded(hashes)}


async def inclusion(gateway: Gateway, message: str, size: int, *, peer: str | None = None) -> dict[str, Any]:
    """The entries of a message (of a peer), each with the proof that it is in the log of `size` entries (RFC 9162, 2.1.3)."""
    await _up_to(gateway, size)
    wanted = select(log_entries.c.number, log_entries.c.entry).where(log_entries.c.message == message, log_entries.c.number < size)
    wanted = wanted if peer is None else wanted.where(log_entries.c.peer == peer)
    async with gateway.runtime.sessions() as session:
        rows = (await session.execute(wanted.order_by(log_entries.c.number).limit(20))).all()
    if not rows:
        raise NotFound(f"The log of {size} entries has no message {message[:40]!r}.")
    found = []
    for number, entry in rows:
        ranges = inclusion_ranges(number, size)
        found.append({"number": number, "entry": bytes(entry).decode(), "proof": encoded(await _hashes(gateway, ranges))})
    return {"size": size, "root": await _root(gateway, size), "entries": found}


async def _up_to(gateway: Gateway, size: int) -> None:
    have = await gateway.ledger.refresh()
    if not 0 <= size <= have:
        raise InvalidRequest(f"The log has {have} entries.", pointer="/size")


async def _hashes(gateway: Gateway, ranges: list[tuple[int, int]]) -> list[bytes]:
    places = sorted({place for start, end in ranges for place in peaks(start, end)})
    async with gateway.runtime.sessions() as session:
        nodes = await nodes_at(await session.connection(), places)
    return [hash_of(start, end, nodes.__getitem__) for start, end in ranges]


async def _root(gateway: Gateway, size: int) -> str:
    async with gateway.runtime.sessions() as session:
        return base64.b64encode(root_of(size, await frontier_of(await session.connection(), size))).decode()
