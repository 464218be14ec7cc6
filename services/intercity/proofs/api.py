"""The log of exchanges: its checkpoint, its entries, and proofs about both (RFC 9162)."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from sqlalchemy import select

from services.intercity.models import log_entries, peer_checkpoints
from services.intercity.proofs.reading import consistency, inclusion
from services.intercity.state import GatewayState
from shared.auth import Caller, may
from shared.database import Session

router = APIRouter(prefix="/log", tags=["proofs"])
Reader = Annotated[Caller, may("intercity:read", "hub:audit")]
Size = Annotated[int, Query(ge=0, le=2**53, description="Entries in the log")]


@router.get("/checkpoint", summary="How many entries the log has, and their root; signed")
async def checkpoint(gateway: GatewayState, caller: Reader) -> dict[str, Any]:
    """A compact JWS over `city`, `size`, `root` (base64) and `time`. Whoever holds one can prove later that nothing before it was changed."""
    await gateway.ledger.refresh()
    signed = await gateway.ledger.checkpoint()
    body = signed.split(".")[1]
    return {"checkpoint": signed, **orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))}


@router.get("/entries", summary="Entries of the log, exactly as hashed")
async def entries(session: Session, caller: Reader, start: Size = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    rows = await session.execute(select(log_entries.c.entry).where(log_entries.c.number >= start).order_by(log_entries.c.number).limit(limit))
    return {"start": start, "entries": [bytes(entry).decode() for (entry,) in rows]}


@router.get("/proofs/inclusion", summary="Proof that a message is in the log")
async def inclusion_proof(
    gateway: GatewayState, caller: Reader, message: Annotated[str, Query(max_length=40, pattern=r"^[0-9A-Z]+$")], size: Size
) -> dict[str, Any]:
    return await inclusion(gateway, message, size)


@router.get("/proofs/consistency", summary="Proof that the log has only grown")
async def consistency_proof(gateway: GatewayState, caller: Reader, first: Size, second: Size) -> dict[str, Any]:
    return await consistency(gateway, first, second)


@router.get("/peers", summary="Checkpoints of peers' logs, each consistent with those before")
async def of_peers(session: Session, caller: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
    rows = await session.execute(select(peer_checkpoints).order_by(peer_checkpoints.c.at.desc(), peer_checkpoints.c.peer).limit(limit))
    return [{"peer": row.peer, "size": row.size, "root": base64.b64encode(row.root).decode(), "checkpoint": row.signed, "at": row.at} for row in rows]
