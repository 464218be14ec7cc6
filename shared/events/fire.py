"""Events of the fire service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from shared.events.model import Event


class CallReceived(Event):
    """A call for service came in. None for calls that are recorded more than six hours late or declared historic."""

    type: ClassVar[str] = "fire.call.received.v1"
    subject_template: ClassVar[str] = "calls/{call}"

    call: str
    kind: str
    priority: str
    received_at: AwareDatetime
    lon: float | None
    lat: float | None
    """Degrees, WGS 84; the block or street."""
