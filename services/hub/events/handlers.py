"""Writes every event of the city into the log, and tells who waits for it after the commit."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.events.domain import Logged
from services.hub.state import Hub
from shared.events.model import SCALES, CloudEvent, Event
from shared.outbox import when_committed
from shared.service import Runtime

_COLUMNS = ("id", "source", "type", "subject", "sequence", "time", "area", *SCALES)
_WRITE = text(f"INSERT INTO event_log ({', '.join(_COLUMNS)}, envelope) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}, :envelope) RETURNING position")
"""As text: the envelope goes in as it will be sent, not parsed and printed anew."""


async def keep(envelope: CloudEvent, _: Event | None, session: AsyncSession) -> None:
    """One event, one position. Only the active consumer calls this, so positions are drawn and committed in one order."""
    runtime: Runtime = session.info["runtime"]
    hub: Hub = runtime.own
    content = orjson.dumps(envelope.wire()).decode()
    values: dict[str, Any] = {name: getattr(envelope, name) for name in _COLUMNS}
    source = envelope.source.removeprefix("/")
    position = (await session.execute(_WRITE, values | {"source": source, "sequence": int(envelope.sequence), "envelope": content})).scalar_one()
    scales = {name: values[name] for name in SCALES}
    logged = Logged(position=position, source=source, type=envelope.type, area=envelope.area, scales=scales, envelope=content)
    when_committed(session, lambda: hub.live.take(logged))
