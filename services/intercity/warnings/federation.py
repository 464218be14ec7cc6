"""Sends a warning of our hub to a peer: the CAP document as the hub issued it, signed as a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.messages.client import new_message
from services.intercity.messages.domain import AgreementNotInForce
from services.intercity.messages.wire import Message
from services.intercity.state import Gateway
from shared.cap.document import MEDIA_TYPE
from shared.events.intercity import WarningAcknowledged
from shared.outbox import record

PATIENCE_S = 5.0


async def warning_message(gateway: Gateway, row: Any) -> Message:
    """The message of a delivery. `AgreementNotInForce` while no agreement lets warnings go to the peer."""
    agreement = None
    for candidate in await gateway.agreements.with_peer(row.peer, datetime.now(UTC)):
        grant = candidate.grant(gateway.city)
        if grant is not None and grant.warnings:
            agreement = candidate
            break
    if agreement is None:
        raise AgreementNotInForce(f"No agreement in force lets warnings go to {row.peer}.")
    found = await gateway.runtime.calls.ask("hub", f"/warnings/{row.subject}.xml", within=PATIENCE_S, headers={"Accept": MEDIA_TYPE})
    return new_message(
        gateway,
        row.peer,
        "warning",
        found.content,
        expires=row.expires_at,
        agreement=agreement.id,
        purpose=agreement.document.purposes[0],
        media_type=MEDIA_TYPE,
        id_=row.id,
    )


def acknowledged(session: AsyncSession, row: Any, answer: Message) -> None:
    """The peer's gateway has taken our warning in."""
    moment = answer.envelope.created
    record(
        session,
        WarningAcknowledged(warning=row.subject, peer=row.peer, acknowledged_at=moment, area=row.about.get("area"), regarding=row.about.get("regarding")),
    )
