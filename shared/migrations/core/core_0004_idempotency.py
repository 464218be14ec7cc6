"""Core: idempotency records of repeated writes."""

from __future__ import annotations

revision = "core_0004_idempotency"
down_revision = "core_0003_areas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by its owner."""
