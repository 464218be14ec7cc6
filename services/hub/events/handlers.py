"""Writes every event of the city into the log, and shows it to the streams of this process after the commit."""

from __future__ import annotations

from collections.abc import Sequence

from services.hub.events.domain import Logged
from services.hub.state import Hub
from shared.bus import Journal
from shared.bus.journal import Row
from shared.events.model import SCALES, CloudEvent
from shared.service import Runtime

COLUMNS = {
    "type": "text",
    "subject": "text",
    "sequence": "bigint",
    "time": "timestamptz",
    "area": "text",
    **dict.fromkeys(SCALES, "text"),
    "regarding": "text",
    "envelope": "json",
}


def _row(envelope: CloudEvent) -> Row:
    """The envelope is printed anew, on one line: a publisher's line breaks would end up in the stream's framing."""
    scales = (getattr(envelope, name) for name in SCALES)
    content = envelope.model_dump_json(exclude_none=True)
    return (envelope.type, envelope.subject, int(envelope.sequence), envelope.time, envelope.area, *scales, envelope.regarding, content)


def _show(runtime: Runtime, kept: Sequence[tuple[int, str, Row]]) -> None:
    hub: Hub = runtime.own
    for position, source, (kind, _, _, _, area, *scales, regarding, content) in kept:
        hub.live.take(Logged(position, source, kind, area, dict(zip(SCALES, scales, strict=True)), content, regarding))


LOG = Journal(table="event_log", columns=COLUMNS, row=_row, kept=_show)
"""Only the active consumer keeps it, so positions are drawn and committed in one order."""
