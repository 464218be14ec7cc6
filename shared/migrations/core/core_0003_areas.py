"""Core: areas with validity and shape."""

from __future__ import annotations

revision = "core_0003_areas"
down_revision = "core_0002_outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled by its owner."""
