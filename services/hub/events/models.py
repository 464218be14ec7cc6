"""The city's event log."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, DateTime, Identity, Index, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from services.hub.models import Base

Moment = DateTime(timezone=True)


class EventRow(Base):
    """An event of any service of the city, written once and never changed.

    One writer, the active consumer, draws the positions, so they are committed in their order and `position > last` misses nothing.
    """

    __tablename__ = "event_log"

    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    """Whose stream it came from: `430300/fire`."""
    type: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    sequence: Mapped[int] = mapped_column(BigInteger)
    time: Mapped[datetime] = mapped_column(Moment)
    area: Mapped[str | None] = mapped_column(Text)
    incidentgrade: Mapped[str | None] = mapped_column(Text)
    warninglevel: Mapped[str | None] = mapped_column(Text)
    responselevel: Mapped[str | None] = mapped_column(Text)
    regarding: Mapped[str | None] = mapped_column(Text)
    """What it belongs to across sectors: `releases/…`, `incidents/…`."""
    envelope: Mapped[str] = mapped_column(JSON)
    """The whole CloudEvent, verbatim."""
    recorded_at: Mapped[datetime] = mapped_column(Moment, server_default=func.clock_timestamp())

    __table_args__ = (
        Index("ix_event_log_type", "type", "position", postgresql_ops={"type": "text_pattern_ops"}),
        Index("ix_event_log_subject", "subject", "position"),
        Index("ix_event_log_regarding", "regarding", "position"),
    )
