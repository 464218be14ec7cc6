"""Environment: stations."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "env_0001_stations"
down_revision = None
branch_labels = ("env",)
depends_on = ("core_0004_idempotency", "series_0001")


def upgrade() -> None:
    """Make the table that `services/env/models.py` describes."""
    op.execute("""
        CREATE TABLE stations (
            code text COLLATE "C" NOT NULL,
            name_zh text,
            name_en text,
            kind text NOT NULL,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            timezone text NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
            recorded_by text NOT NULL,
            CONSTRAINT pk_stations PRIMARY KEY (code),
            CONSTRAINT ck_stations_named CHECK (name_zh IS NOT NULL OR name_en IS NOT NULL),
            CONSTRAINT ck_stations_point CHECK ((lon IS NULL) = (lat IS NULL))
        )
    """)
    op.execute("COMMENT ON COLUMN stations.timezone IS 'IANA zone in which the station counts its days'")
    op.execute("CREATE INDEX ix_stations_point ON stations USING gist (point(lon, lat))")
    for statement in keep_history_ddl("stations", key=("code",)):
        op.execute(statement)


def downgrade() -> None:
    for statement in drop_history_ddl("stations"):
        op.execute(statement)
    op.execute("DROP TABLE stations")
