"""Warnings of peers as they were received, and whose warnings are believed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.intercity.models import issuers, warnings
from services.intercity.state import GatewayState
from services.intercity.warnings.schemas import IssuerIn, IssuerOut, ReceivedOut
from shared.auth import Caller, may
from shared.cap.document import MEDIA_TYPE
from shared.database import Session
from shared.errors import NotFound
from shared.places import covers

router = APIRouter(prefix="/warnings", tags=["warnings"])
Reader = Annotated[Caller, may("intercity:read", "hub:query")]
Officer = Annotated[Caller, may("intercity:write")]
Sender = Annotated[str, Query(max_length=500)]
_COLUMNS = [warnings.c[name] for name in ReceivedOut.model_fields]


@router.get("/received", summary="Warnings of peer cities, the latest first")
async def list_received(session: Session, caller: Reader, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> list[ReceivedOut]:
    """Those of the caller's areas."""
    query = select(*_COLUMNS).where(covers(caller, warnings.c.area))
    rows = await session.execute(query.order_by(warnings.c.received_at.desc(), warnings.c.id).limit(limit))
    return [ReceivedOut.model_validate(dict(row)) for row in rows.mappings()]


@router.get("/received/{warning}.xml", summary="A received warning, byte for byte", response_class=Response)
async def received_document(warning: Annotated[str, Path(max_length=300)], session: Session, caller: Reader) -> Response:
    wanted = warnings.c.id == warning.replace("\x00", ""), covers(caller, warnings.c.area)
    document = await session.scalar(select(warnings.c.document).where(*wanted))
    if document is None:
        raise NotFound(f"No warning {warning[:100]!r} was received.")
    return Response(bytes(document), media_type=MEDIA_TYPE)


@router.get("/issuers", summary="Whose warnings are believed, for what and where")
async def list_issuers(session: Session, caller: Annotated[Caller, may("intercity:read")]) -> list[IssuerOut]:
    rows = await session.execute(select(issuers).order_by(issuers.c.peer, issuers.c.sender).limit(1000))
    return [IssuerOut.model_validate(dict(row)) for row in rows.mappings()]


@router.put("/issuers", summary="Trust an issuer")
async def trust_issuer(issuer: IssuerIn, gateway: GatewayState, session: Session, officer: Officer) -> IssuerOut:
    """For one peer's key, one CAP sender, kinds of event and areas; what was trusted of this sender before is replaced."""
    if await gateway.peers.get(issuer.peer) is None:
        raise NotFound(f"{issuer.peer} is no peer.", pointer="/peer")
    values = {"events": issuer.events, "areas": issuer.areas, "recorded_by": officer.subject}
    adding = insert(issuers).values(peer=issuer.peer, sender=issuer.sender, **values)
    row = (await session.execute(adding.on_conflict_do_update(index_elements=["peer", "sender"], set_=values).returning(issuers))).mappings().one()
    return IssuerOut.model_validate(dict(row))


@router.delete("/issuers", status_code=204, summary="Trust an issuer no longer")
async def distrust_issuer(peer: Annotated[str, Query(max_length=6)], sender: Sender, session: Session, officer: Officer) -> Response:
    gone = await session.scalar(delete(issuers).where(issuers.c.peer == peer, issuers.c.sender == sender).returning(issuers.c.peer))
    if gone is None:
        raise NotFound("No such issuer is trusted.")
    return Response(status_code=204)
