"""Traffic: adjacency of detectors."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "traffic_0002_adjacency"
down_revision = "traffic_0001_roads"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE adjacency (
        id text COLLATE "C" NOT NULL CONSTRAINT pk_adjacency PRIMARY KEY,
        from_detector text COLLATE "C" NOT NULL,
        to_detector text COLLATE "C" NOT NULL,
        weight double precision NOT NULL,
        area text COLLATE "C" NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT ck_adjacency_weight CHECK (weight > 0 AND weight <= 1)
    )
    """,
    "COMMENT ON COLUMN adjacency.area IS 'That of the detector at its beginning'",
    "CREATE INDEX ix_adjacency_from_detector ON adjacency (from_detector)",
    "CREATE INDEX ix_adjacency_area ON adjacency (area)",
)


def upgrade() -> None:
    for statement in (*TABLES, *keep_history_ddl("adjacency")):
        op.execute(statement)


def downgrade() -> None:
    for statement in (*drop_history_ddl("adjacency"), "DROP TABLE adjacency"):
        op.execute(statement)
