"""Tables of the events of others: what has taken effect here, what keeps failing, what was given up."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text, UniqueConstraint, func, text

from shared.database import core_metadata

Moment = DateTime(timezone=True)

processed = Table(
    "processed",
    core_metadata,
    Column("source", Text, primary_key=True, comment="Whose stream it came from: 430300/food"),
    Column("event_id", Text, primary_key=True),
    Column("processed_at", Moment, nullable=False, server_default=func.now()),
    Index("ix_processed_at", "processed_at", postgresql_using="brin"),
)
"""Events that took effect here, or were given up. The source is part of the key, so nobody can use up another's ids."""

delivery_attempts = Table(
    "delivery_attempts",
    core_metadata,
    Column("source", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("last_at", Moment, nullable=False, server_default=func.now()),
)
"""Deliveries that failed or were cut short, counted over restarts; gone when the event took effect or was given up."""

dead_letters = Table(
    "dead_letters",
    core_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("entry", Text, nullable=False, comment="Identifier in the stream"),
    Column("event_id", Text),
    Column("type", Text),
    Column("subject", Text),
    Column("reason", Text, nullable=False, comment="failed, expired, malformed or forged"),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("payload", Text, nullable=False, comment="The entry as it came, cut at PAYLOAD_LIMIT characters"),
    Column("died_at", Moment, nullable=False, server_default=func.clock_timestamp()),
    Column("replay_requested_at", Moment),
    Column("replay_requested_by", Text),
    Column("replayed_at", Moment),
    UniqueConstraint("source", "entry"),
    Index("ix_dead_letters_requested", "id", postgresql_where=text("replay_requested_at IS NOT NULL AND replayed_at IS NULL")),
)
