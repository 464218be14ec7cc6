"""Water: gauges and their stages."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "water_0001_gauges"
down_revision = None
branch_labels = ("water",)
depends_on = ("core_0004_idempotency", "series_0001")

KEYS = {"gauges": "code", "stages": "gauge"}
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"


def upgrade() -> None:
    """Make the tables that `services/water/models.py` describes."""
    op.execute(f"""
        CREATE TABLE gauges (
            code text COLLATE "C" NOT NULL CONSTRAINT pk_gauges PRIMARY KEY, name_zh text, name_en text, river text,
            blue double precision, yellow double precision, orange double precision, red double precision,
            area text COLLATE "C" NOT NULL, lon double precision, lat double precision, {RECORDED},
            CONSTRAINT ck_gauges_named CHECK (name_zh IS NOT NULL OR name_en IS NOT NULL),
            CONSTRAINT ck_gauges_point CHECK ((lon IS NULL) = (lat IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_gauges_area ON gauges (area)")
    op.execute("CREATE INDEX ix_gauges_point ON gauges USING gist (point(lon, lat))")
    op.execute(f"""
        CREATE TABLE stages (
            gauge text COLLATE "C" NOT NULL CONSTRAINT pk_stages PRIMARY KEY CONSTRAINT fk_stages_gauge_gauges REFERENCES gauges (code),
            stage text NOT NULL, since timestamptz NOT NULL, water_level double precision NOT NULL, {RECORDED}
        )
    """)
    for table, key in KEYS.items():
        for statement in keep_history_ddl(table, key=(key,)):
            op.execute(statement)


def downgrade() -> None:
    for table in reversed(KEYS):
        for statement in (*drop_history_ddl(table), f"DROP TABLE {table}"):
            op.execute(statement)
