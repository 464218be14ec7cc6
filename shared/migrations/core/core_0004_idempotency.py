"""Core: idempotency records of repeated writes."""

from __future__ import annotations

from alembic import op

revision = "core_0004_idempotency"
down_revision = "core_0003_areas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table that `shared/idempotency.py` describes."""
    op.execute(
        "CREATE TABLE idempotency (client text NOT NULL, key text NOT NULL, digest bytea NOT NULL, status smallint, answer bytea,"
        " recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(), CONSTRAINT pk_idempotency PRIMARY KEY (client, key))"
    )
    op.execute("COMMENT ON COLUMN idempotency.digest IS 'SHA-256 over method, target and body'")
    op.execute("CREATE INDEX ix_idempotency_recorded_at ON idempotency (recorded_at)")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency")
