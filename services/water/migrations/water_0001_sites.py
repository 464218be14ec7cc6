"""water: sites."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "water_0001_sites"
down_revision = None
branch_labels = ("water",)
depends_on = "core_0004_idempotency"


def upgrade() -> None:
    """Make the table that `services/water/models.py` describes."""
    op.execute("""
        CREATE TABLE sites (
            code text COLLATE "C" NOT NULL,
            name_zh text,
            name_en text,
            kind text NOT NULL,
            capacity integer,
            inspected_at timestamptz,
            due_at timestamptz,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
            recorded_by text NOT NULL,
            CONSTRAINT pk_sites PRIMARY KEY (code),
            CONSTRAINT ck_sites_named CHECK (name_zh IS NOT NULL OR name_en IS NOT NULL),
            CONSTRAINT ck_sites_point CHECK ((lon IS NULL) = (lat IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_sites_area ON sites (area)")
    op.execute("CREATE INDEX ix_sites_point ON sites USING gist (point(lon, lat))")
    for statement in keep_history_ddl("sites", key=("code",)):
        op.execute(statement)


def downgrade() -> None:
    for statement in drop_history_ddl("sites"):
        op.execute(statement)
    op.execute("DROP TABLE sites")
