"""Hub: what an event belongs to across sectors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "hub_0003_regarding"
down_revision = "hub_0002_events"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name it in a column of its own, so that the timeline of an incident is one look-up."""
    op.add_column("event_log", sa.Column("regarding", sa.Text))
    op.create_index("ix_event_log_regarding", "event_log", ["regarding", "position"])


def downgrade() -> None:
    """Leave it in the envelope alone."""
    op.drop_column("event_log", "regarding")
