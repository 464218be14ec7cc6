"""Environment: outlines of releases."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "env_0002_outlines"
down_revision = "env_0001_stations"
branch_labels = None
depends_on = None

KEYS = {"outlines": "release"}
"""The tables in the order of their making, with their primary keys."""
TABLES = (
    """CREATE TABLE outlines (
        release text COLLATE "C" NOT NULL,
        revision integer NOT NULL,
        release_revision integer NOT NULL,
        site text COLLATE "C",
        substance text COLLATE "C",
        un text COLLATE "C",
        name_zh text,
        name_en text,
        rate_kg_s double precision,
        amount_kg double precision,
        began_at timestamptz,
        method text,
        source text,
        valid boolean,
        isolation_m double precision,
        protective_m double precision,
        wind_from_deg double precision,
        wind_speed_m_s double precision,
        wind_station text,
        wind_at timestamptz,
        stability text,
        notes jsonb,
        geometry jsonb,
        extent box,
        computed_at timestamptz,
        lifted_at timestamptz,
        area text COLLATE "C",
        lon double precision,
        lat double precision,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_outlines PRIMARY KEY (release)
    )""",
    "CREATE INDEX ix_outlines_active ON outlines (release) WHERE lifted_at IS NULL",
    "CREATE INDEX ix_outlines_extent ON outlines USING gist (extent)",
    "COMMENT ON COLUMN outlines.release IS 'Identifier at the work-safety service'",
    "COMMENT ON COLUMN outlines.revision IS '0 if the release was concluded before any outline was made'",
    "COMMENT ON COLUMN outlines.release_revision IS 'Of the report that the outline answers'",
    "COMMENT ON COLUMN outlines.substance IS 'CAS registry number'",
    "COMMENT ON COLUMN outlines.source IS 'Edition and table, or paper and equation'",
    "COMMENT ON COLUMN outlines.stability IS 'Pasquill class A to F; NULL where the method needs none'",
    "COMMENT ON COLUMN outlines.notes IS 'What was assumed and what the method leaves out, zh and en'",
)


def upgrade() -> None:
    """Make the tables that the service's `models.py` describes."""
    for statement in TABLES:
        op.execute(statement)
    for table, key in KEYS.items():
        for statement in keep_history_ddl(table, key=(key,)):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in reversed(KEYS):
        for statement in drop_history_ddl(table):
            op.execute(statement)
        op.execute(f"DROP TABLE {table}")
