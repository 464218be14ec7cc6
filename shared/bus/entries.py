"""An entry of a stream: the event that it carries, or why it carries none that may be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from shared.events.model import CloudEvent

PROCESSED_KEEP = timedelta(days=90)
"""How long it is remembered that an event took effect; it outlives the outboxes, and what is older takes no effect by itself."""
_MARGIN = timedelta(days=1)

PAYLOAD_LIMIT = 128 * 1024
"""Bytes of an entry that are looked at, and characters that are kept of a dead one: more than any event of ours has, less than a stranger might send."""

Reason = Literal["failed", "expired", "malformed", "forged"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an entry is not handled."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one source's stream."""

    source: str
    """Whose stream it is, and so who spoke: `430300/food`."""
    id: str
    payload: bytes
    envelope: CloudEvent | None
    fault: Fault | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the event for `processed`: nobody can use up the ids of another source."""
        return self.source, self.envelope.id if self.envelope else ""

    @property
    def subject(self) -> tuple[str, str]:
        """What order is kept within."""
        return self.source, self.envelope.subject if self.envelope else ""


def read_entry(source: str, entry_id: bytes, fields: Sequence[bytes] | None, now: datetime) -> Entry:
    """Check an entry. Source and first word of the type must name the stream's owner: only its Redis user can append, and it speaks for itself only."""
    named = dict(zip(fields[::2], fields[1::2], strict=False)) if fields else {}
    payload = named.get(b"event", b"")
    envelope: CloudEvent | None = None
    fault: Fault | None = None
    if len(payload) > PAYLOAD_LIMIT:
        return Entry(source, entry_id.decode(), payload, None, Fault("malformed", f"it has {len(payload)} bytes; an event has {PAYLOAD_LIMIT} at most"))
    try:
        envelope = CloudEvent.model_validate_json(payload)
    except ValidationError as error:
        fault = Fault("malformed", "; ".join(f"{'/'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])[:500])
    else:
        if envelope.source != f"/{source}":
            fault = Fault("forged", f"it claims to come from {envelope.source[:200]}, but the stream is of /{source}")
        elif envelope.type.partition(".")[0] != source.partition("/")[2]:
            fault = Fault("forged", f"only {envelope.type.partition('.')[0][:200]} may say {envelope.type[:200]}, but the stream is of /{source}")
        elif envelope.time < now - PROCESSED_KEEP + _MARGIN:
            fault = Fault("expired", f"recorded at {envelope.time.isoformat()}, longer ago than it is remembered what took effect")
    return Entry(source, entry_id.decode(), payload, envelope, fault)
