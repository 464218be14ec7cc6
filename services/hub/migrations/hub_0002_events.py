"""Hub: the city's event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "hub_0002_events"
down_revision = "hub_0001_access"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the log with one position per event."""
    op.create_table(
        "event_log",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("time", MOMENT, nullable=False),
        sa.Column("area", sa.Text),
        sa.Column("incidentgrade", sa.Text),
        sa.Column("warninglevel", sa.Text),
        sa.Column("responselevel", sa.Text),
        sa.Column("envelope", sa.JSON, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.PrimaryKeyConstraint("position", name="pk_event_log"),
    )
    op.create_index("ix_event_log_type", "event_log", ["type", "position"], postgresql_ops={"type": "text_pattern_ops"})
    op.create_index("ix_event_log_subject", "event_log", ["subject", "position"])


def downgrade() -> None:
    """Forget all events."""
    op.drop_table("event_log")
