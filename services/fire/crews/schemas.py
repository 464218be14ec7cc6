"""Messages to crews as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from shared.row_models import OffsetTime, Reference, RowModel


class MessageOut(BaseModel):
    """One revision of the message to the crews of an incident."""

    incident: str
    revision: int
    created_at: datetime
    units: list[str]
    missing: Annotated[list[str], Field(description="What could not be had in time: card, outline, routes; `content.missing` says why")]
    content: Annotated[
        dict[str, Any],
        Field(
            description="incident, release, outline, card, units (each with its route, time and where it must stop), gather_at, hydrants, texts in zh and en"
        ),
    ]
    acknowledged: Annotated[list[str], Field(description="Units that have acknowledged this revision")]


class AcknowledgementIn(RowModel, json_schema_extra={"example": {"unit": "YT-01-1", "at": "2026-11-22T08:00:00+08:00"}}):
    """That a crew has taken note."""

    unit: Reference
    at: OffsetTime


class AcknowledgementOut(BaseModel):
    """An acknowledgement as it was recorded first."""

    incident: str
    revision: int
    unit: str
    at: datetime
