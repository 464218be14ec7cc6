"""Core: outbox, processed events, dead letters."""

from __future__ import annotations

revision = "core_0002_outbox"
down_revision = "core_0001_changes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by its owner."""
