"""Core: outbox, processed events, dead letters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "core_0002_outbox"
down_revision = "core_0001_changes"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """What a service publishes, and what it did with the events of others."""
    _create_outbox()
    _create_processed()
    _create_dead_letters()


def downgrade() -> None:
    """Forget all events."""
    for name in ("dead_letters", "delivery_attempts", "processed", "outbox_groups", "outbox_subjects", "outbox"):
        op.drop_table(name)


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("envelope", sa.JSON, nullable=False, comment="CloudEvents attributes and data without source and sequence"),
        sa.Column("recorded_at", MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("published_at", MOMENT),
        sa.Column("stream_ms", sa.BigInteger, comment="Identifier in the stream, the part before the dash"),
        sa.Column("stream_number", sa.BigInteger, comment="Identifier in the stream, the part after the dash"),
        sa.Column("acknowledged_at", MOMENT, comment="When the hub was seen to have acknowledged it"),
        sa.PrimaryKeyConstraint("position", name="pk_outbox"),
    )
    op.create_index("ix_outbox_unpublished", "outbox", ["position"], postgresql_where=sa.text("published_at IS NULL"))
    op.create_index("ix_outbox_stream", "outbox", ["stream_ms", "stream_number"], postgresql_where=sa.text("published_at IS NOT NULL"))
    op.create_table(
        "outbox_subjects",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_outbox_subjects"),
    )
    op.create_table(
        "outbox_groups",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_outbox_groups"),
    )


def _create_processed() -> None:
    op.create_table(
        "processed",
        sa.Column("source", sa.Text, nullable=False, comment="Whose stream it came from: 430300/food"),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("processed_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("source", "event_id", name="pk_processed"),
    )
    op.create_index("ix_processed_at", "processed", ["processed_at"], postgresql_using="brin")
    op.create_table(
        "delivery_attempts",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("source", "event_id", name="pk_delivery_attempts"),
    )


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("entry", sa.Text, nullable=False, comment="Identifier in the stream"),
        sa.Column("event_id", sa.Text),
        sa.Column("type", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("reason", sa.Text, nullable=False, comment="failed, expired, malformed or forged"),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False, comment="The entry as it came, cut at PAYLOAD_LIMIT characters"),
        sa.Column("died_at", MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("replay_requested_at", MOMENT),
        sa.Column("replay_requested_by", sa.Text),
        sa.Column("replayed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_dead_letters"),
        sa.UniqueConstraint("source", "entry", name="uq_dead_letters_source"),
    )
    requested = sa.text("replay_requested_at IS NOT NULL AND replayed_at IS NULL")
    op.create_index("ix_dead_letters_requested", "dead_letters", ["id"], postgresql_where=requested)
