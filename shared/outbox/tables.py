"""Tables of a service's own events: what it published, how far each subject has counted, who reads its stream."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, DateTime, Identity, Index, Table, Text, func, text

from shared.database import core_metadata

Moment = DateTime(timezone=True)

outbox = Table(
    "outbox",
    core_metadata,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("subject", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("envelope", JSON, nullable=False, comment="CloudEvents attributes and data without source and sequence"),
    Column("recorded_at", Moment, nullable=False, server_default=func.clock_timestamp()),
    Column("published_at", Moment),
    Column("stream_ms", BigInteger, comment="Identifier in the stream, the part before the dash"),
    Column("stream_number", BigInteger, comment="Identifier in the stream, the part after the dash"),
    Column("acknowledged_at", Moment, comment="When the hub was seen to have acknowledged it"),
    Index("ix_outbox_unpublished", "position", postgresql_where=text("published_at IS NULL")),
    Index("ix_outbox_stream", "stream_ms", "stream_number", postgresql_where=text("published_at IS NOT NULL")),
)
"""Kept at least `retention.KEEP` and until the hub has acknowledged. Within a subject, `position` and `sequence` rise in commit order."""

outbox_subjects = Table(
    "outbox_subjects",
    core_metadata,
    Column("subject", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
"""The last `sequence` of each subject; its row lock makes the writers of one subject wait for each other."""

outbox_groups = Table(
    "outbox_groups",
    core_metadata,
    Column("name", Text, primary_key=True),
    Column("seen_at", Moment, nullable=False),
)
"""Consumer groups seen on the stream: none of them may miss anything when Redis was emptied and one is away."""
