"""Agreements with peers: proposed, reviewed, signed by both, ended by either."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query
from sqlalchemy import select

from services.intercity.agreements.actions import (
    DELIVERY,
    canonical,
    check_given,
    check_terms,
    deliver,
    document_of,
    end,
    keep,
    locked,
    put_in_force,
    signature,
)
from services.intercity.agreements.schemas import AgreementOut, Document, ProposalIn
from services.intercity.models import agreements
from services.intercity.peers.schemas import Reason
from services.intercity.state import Gateway, GatewayState
from shared.auth import Caller, may
from shared.database import Session
from shared.errors import Conflict, NotFound
from shared.idempotency import Repeatable
from shared.service import Now

router = APIRouter(tags=["agreements"])
Reader = Annotated[Caller, may("intercity:read")]
Officer = Annotated[Caller, may("intercity:write")]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
State = Literal["proposed", "received", "in_force", "declined", "ended"]


@router.get("/agreements", summary="Agreements and how they stand")
async def list_agreements(
    gateway: GatewayState, session: Session, caller: Reader, state: State | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[AgreementOut]:
    """The latest first. What waits for a signature here is `received`."""
    wanted = select(agreements).order_by(agreements.c.recorded_at.desc(), agreements.c.id).limit(limit)
    rows = await session.execute(wanted if state is None else wanted.where(agreements.c.state == state))
    return [_shown(gateway, row) for row in rows]


@router.post("/agreements", status_code=201, summary="Propose an agreement to a peer", response_model=AgreementOut)
async def propose(proposal: ProposalIn, gateway: GatewayState, session: Session, once: Repeatable, officer: Officer, now: Now) -> Any:
    """Signed here and sent to the peer, whose officer reviews and countersigns it. What we give is checked against our own catalogue."""

    async def work() -> AgreementOut:
        peer = await gateway.peers.get(proposal.peer)
        if peer is None or peer.state != "active":
            raise NotFound(f"{proposal.peer} is no active peer.", pointer="/peer")
        document = document_of(proposal, gateway.city)
        check_terms(document, now)
        await check_given(gateway, document)
        text = canonical(document)
        ours = signature(gateway, text)
        made = await keep(session, gateway, document, text, proposer=gateway.city, state="proposed", our_signature=ours, recorded_by=officer.subject)
        about = {"document": text, "signature": ours}
        await deliver(session, gateway.to_deliver.set, proposal.peer, "agreement.propose", made, about, now + DELIVERY)
        return _shown(gateway, await locked(session, made))

    return await once(work, status=201)


@router.get("/agreements/{agreement}", summary="An agreement")
async def one_agreement(agreement: Id, gateway: GatewayState, session: Session, caller: Reader) -> AgreementOut:
    row = (await session.execute(select(agreements).where(agreements.c.id == agreement))).one_or_none()
    if row is None:
        raise NotFound(f"There is no agreement {agreement!r}.")
    return _shown(gateway, row)


@router.post("/agreements/{agreement}/sign", summary="Countersign what a peer proposed")
async def countersign(agreement: Id, gateway: GatewayState, session: Session, officer: Officer, now: Now) -> AgreementOut:
    """It is in force here at once, at the peer as soon as our signature has arrived. What we give is checked against our own catalogue."""
    row = await locked(session, agreement)
    if row.state == "in_force":
        return _shown(gateway, row)
    if row.state != "received":
        raise Conflict(f"The agreement is {row.state}; only one that was received can be signed.")
    document = Document.model_validate(orjson.loads(row.document))
    check_terms(document, now)
    await check_given(gateway, document)
    ours = signature(gateway, row.document)
    await put_in_force(session, gateway, agreement, {"our_signature": ours}, officer.subject)
    await deliver(session, gateway.to_deliver.set, row.peer, "agreement.sign", agreement, {"agreement": agreement, "signature": ours}, now + DELIVERY)
    return _shown(gateway, await locked(session, agreement))


@router.post("/agreements/{agreement}/end", summary="End an agreement, or decline a proposal")
async def end_agreement(agreement: Id, why: Reason, gateway: GatewayState, session: Session, officer: Officer) -> AgreementOut:
    """Either city may, at any time; the peer is told."""
    row = await end(session, gateway, agreement, f"{gateway.city}: {why.reason}", officer.subject)
    if row.state in ("proposed", "received", "in_force"):
        about = {"agreement": agreement, "reason": why.reason}
        await deliver(session, gateway.to_deliver.set, row.peer, "agreement.end", agreement, about, datetime.now(UTC) + DELIVERY)
    return _shown(gateway, await locked(session, agreement))


def _shown(gateway: Gateway, row: Any) -> AgreementOut:
    return AgreementOut(
        id=row.id,
        peer=row.peer,
        proposer=row.proposer,
        state=row.state,
        document=orjson.loads(row.document),
        signatures={gateway.city: row.our_signature, row.peer: row.their_signature},
        ended_at=row.ended_at,
        ended_by=row.ended_by,
    )
