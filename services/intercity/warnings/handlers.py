"""A warning that the hub issued for other cities too is to be delivered to each of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from services.intercity.agreements.actions import DELIVERY, deliver
from services.intercity.state import Gateway
from shared.events.hub import WarningIssued
from shared.events.model import CloudEvent, Event

UNSAID = timedelta(hours=24)
"""How long a warning that says nothing of its end is worth delivering."""


async def send_to_recipients(envelope: CloudEvent, event: Event | None, session: AsyncSession) -> None:
    """One delivery for each recipient, written with the event's mark; the task does the rest."""
    assert isinstance(event, WarningIssued)
    gateway: Gateway = session.info["runtime"].own
    until = event.expires or datetime.now(UTC) + UNSAID
    if event.kind == "Cancel":
        until = max(until, datetime.now(UTC) + UNSAID)
    about = {"identifier": event.identifier, "kind": event.kind, "area": envelope.area, "regarding": envelope.regarding}
    for recipient in sorted(set(event.recipients) - {gateway.city}):
        await deliver(session, gateway.to_deliver.set, recipient, "warning", event.warning, about, min(until, datetime.now(UTC) + DELIVERY))
