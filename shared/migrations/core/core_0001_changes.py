"""Core: dataset change rows and the functions that keep history."""

from __future__ import annotations

revision = "core_0001_changes"
down_revision = None
branch_labels = ("core",)
depends_on = None


def upgrade() -> None:
    """Filled by its owner."""
