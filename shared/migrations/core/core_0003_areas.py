"""Core: areas with validity and shape."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import keep_history_ddl

revision = "core_0003_areas"
down_revision = "core_0002_outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the area table; the hub's is the master, a service's is a copy."""
    op.execute(
        """
        CREATE TABLE areas (
            code text COLLATE "C" NOT NULL CONSTRAINT pk_areas PRIMARY KEY,
            level text NOT NULL,
            parent text COLLATE "C",
            name_zh text,
            name_en text,
            kind text NOT NULL,
            valid_from date,
            valid_to date,
            geometry jsonb,
            extent box,
            nation text COLLATE "C",
            province text COLLATE "C",
            city text COLLATE "C",
            district text COLLATE "C",
            town text COLLATE "C",
            community text COLLATE "C",
            recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
            recorded_by text NOT NULL,
            CONSTRAINT ck_areas_named CHECK (name_zh IS NOT NULL OR name_en IS NOT NULL),
            CONSTRAINT ck_areas_validity CHECK (valid_from < valid_to)
        )
        """
    )
    op.execute("CREATE INDEX ix_areas_parent ON areas (parent)")
    op.execute("CREATE INDEX ix_areas_extent ON areas USING gist (extent)")
    for statement in keep_history_ddl("areas", key=("code",)):
        op.execute(statement)


def downgrade() -> None:
    """Remove the table and its history."""
    op.execute("DROP TABLE areas_history")
    op.execute("DROP TABLE areas")
