"""Food: premises, inspections, findings."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "food_0001_inspections"
down_revision = None
branch_labels = ("food",)
depends_on = "core_0004_idempotency"

TABLES = ("premises", "inspections", "findings")
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"


def upgrade() -> None:
    """Make the tables that `services/food/models.py` describes."""
    op.execute(f"""
        CREATE TABLE premises (
            id text COLLATE "C" NOT NULL CONSTRAINT pk_premises PRIMARY KEY,
            registry text NOT NULL,
            number text NOT NULL,
            name text NOT NULL,
            kind text,
            address text,
            postal_code text,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            {RECORDED},
            CONSTRAINT ck_premises_point CHECK ((lon IS NULL) = (lat IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_premises_area ON premises (area)")
    op.execute("CREATE INDEX ix_premises_point ON premises USING gist (point(lon, lat))")
    op.execute(f"""
        CREATE TABLE inspections (
            id text COLLATE "C" NOT NULL CONSTRAINT pk_inspections PRIMARY KEY,
            registry text NOT NULL,
            number text NOT NULL,
            premises text COLLATE "C" NOT NULL CONSTRAINT fk_inspections_premises REFERENCES premises (id),
            inspected_at timestamptz NOT NULL,
            kind text NOT NULL,
            score double precision,
            failed boolean NOT NULL DEFAULT false,
            edition text,
            {RECORDED},
            CONSTRAINT ck_inspections_score CHECK (score BETWEEN 0 AND 100)
        )
    """)
    op.execute("CREATE INDEX ix_inspections_premises ON inspections (premises, inspected_at)")
    op.execute("CREATE INDEX ix_inspections_inspected_at ON inspections (inspected_at)")
    op.execute(f"""
        CREATE TABLE findings (
            id text COLLATE "C" NOT NULL CONSTRAINT pk_findings PRIMARY KEY,
            registry text NOT NULL,
            number text NOT NULL,
            premises text COLLATE "C" NOT NULL CONSTRAINT fk_findings_premises REFERENCES premises (id),
            inspection text COLLATE "C" CONSTRAINT fk_findings_inspection REFERENCES inspections (id),
            found_at timestamptz NOT NULL,
            code text NOT NULL,
            risk text NOT NULL,
            description text,
            {RECORDED},
            CONSTRAINT ck_findings_risk CHECK (risk IN ('low', 'moderate', 'high'))
        )
    """)
    op.execute("CREATE INDEX ix_findings_premises ON findings (premises, found_at)")
    op.execute("CREATE INDEX ix_findings_inspection ON findings (inspection)")
    op.execute("CREATE INDEX ix_findings_found_at ON findings (found_at)")
    for table in TABLES:
        for statement in keep_history_ddl(table):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in reversed(TABLES):
        for statement in drop_history_ddl(table):
            op.execute(statement)
        op.execute(f"DROP TABLE {table}")
