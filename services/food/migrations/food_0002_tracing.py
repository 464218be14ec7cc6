"""Food: laboratories, samples, tests, lots, movements, notices, recalls."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "food_0002_tracing"
down_revision = "food_0001_inspections"
branch_labels = None
depends_on = None

TABLES = {
    "lots": ("id",),
    "movements": ("id",),
    "laboratories": ("id",),
    "samples": ("id",),
    "tests": ("id",),
    "notices": ("id",),
    "notice_documents": ("id",),
    "recalls": ("id",),
    "recall_lots": ("recall", "lot"),
    "recall_premises": ("id",),
}
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"


def upgrade() -> None:
    """Make the tables that `services/food/models.py` describes."""
    _tracing()
    _testing()
    _recalls()
    for table, key in TABLES.items():
        for statement in keep_history_ddl(table, key):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in reversed(TABLES):
        for statement in drop_history_ddl(table):
            op.execute(statement)
        op.execute(f"DROP TABLE {table}")


def _tracing() -> None:
    """Lots and what happened to them."""
    op.execute(f"""
        CREATE TABLE lots (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            product text COLLATE "C" NOT NULL,
            name text,
            premises text COLLATE "C" NOT NULL,
            made_on date,
            expires_on date,
            quantity double precision NOT NULL,
            unit text NOT NULL,
            {RECORDED},
            CONSTRAINT pk_lots PRIMARY KEY (id),
            CONSTRAINT ck_lots_quantity CHECK (quantity > 0),
            CONSTRAINT ck_lots_unit CHECK (unit IN ('kg', 'L', 'piece')),
            CONSTRAINT fk_lots_premises FOREIGN KEY (premises) REFERENCES premises (id)
        )
    """)
    op.execute("CREATE INDEX ix_lots_premises ON lots (premises)")
    op.execute(f"""
        CREATE TABLE movements (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            kind text NOT NULL,
            event text COLLATE "C" NOT NULL,
            at timestamptz NOT NULL,
            lot text COLLATE "C" NOT NULL,
            premises text COLLATE "C" NOT NULL,
            partner text COLLATE "C",
            quantity double precision NOT NULL,
            {RECORDED},
            CONSTRAINT pk_movements PRIMARY KEY (id),
            CONSTRAINT ck_movements_quantity CHECK (quantity > 0),
            CONSTRAINT ck_movements_kind CHECK (kind IN ('ship', 'receive', 'input', 'output', 'sell', 'dispose')),
            CONSTRAINT ck_movements_partner CHECK ((partner IS NOT NULL) = (kind IN ('ship', 'receive'))),
            CONSTRAINT fk_movements_lot FOREIGN KEY (lot) REFERENCES lots (id),
            CONSTRAINT fk_movements_premises FOREIGN KEY (premises) REFERENCES premises (id),
            CONSTRAINT fk_movements_partner FOREIGN KEY (partner) REFERENCES premises (id)
        )
    """)
    op.execute("CREATE INDEX ix_movements_at ON movements (at)")
    op.execute("CREATE INDEX ix_movements_event ON movements (event, kind)")
    op.execute("CREATE INDEX ix_movements_lot ON movements (lot, kind)")
    op.execute("CREATE INDEX ix_movements_premises ON movements (premises)")


def _testing() -> None:
    """Laboratories, samples, tests."""
    op.execute(f"""
        CREATE TABLE laboratories (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            name text NOT NULL,
            kind text NOT NULL,
            cma text,
            cma_until date,
            cnas text,
            cnas_until date,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            {RECORDED},
            CONSTRAINT pk_laboratories PRIMARY KEY (id),
            CONSTRAINT ck_laboratories_point CHECK ((lon IS NULL) = (lat IS NULL)),
            CONSTRAINT ck_laboratories_kind CHECK (kind IN ('agency', 'university', 'enterprise', 'third_party'))
        )
    """)
    op.execute(f"""
        CREATE TABLE samples (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            product text COLLATE "C" NOT NULL,
            name text,
            premises text COLLATE "C",
            lot text COLLATE "C",
            programme text,
            taken_at timestamptz NOT NULL,
            made_on date,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            {RECORDED},
            CONSTRAINT pk_samples PRIMARY KEY (id),
            CONSTRAINT ck_samples_point CHECK ((lon IS NULL) = (lat IS NULL)),
            CONSTRAINT fk_samples_premises FOREIGN KEY (premises) REFERENCES premises (id),
            CONSTRAINT fk_samples_lot FOREIGN KEY (lot) REFERENCES lots (id)
        )
    """)
    op.execute("CREATE INDEX ix_samples_lot ON samples (lot)")
    op.execute("CREATE INDEX ix_samples_premises ON samples (premises)")
    op.execute("CREATE INDEX ix_samples_taken_at ON samples (taken_at)")
    op.execute(f"""
        CREATE TABLE tests (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            sample text COLLATE "C" NOT NULL,
            laboratory text COLLATE "C" NOT NULL,
            analyte text COLLATE "C" NOT NULL,
            method text,
            result text NOT NULL,
            unit text NOT NULL,
            detection_limit text,
            uncertainty text,
            tested_at timestamptz NOT NULL,
            retest_of text COLLATE "C",
            superseded boolean NOT NULL DEFAULT false,
            verdict text NOT NULL DEFAULT 'not_assessed',
            amount double precision,
            limit_value double precision,
            limit_unit text,
            source text,
            reason text,
            {RECORDED},
            CONSTRAINT pk_tests PRIMARY KEY (id),
            CONSTRAINT ck_tests_verdict CHECK (verdict IN ('conforming', 'exceeds', 'not_assessed')),
            CONSTRAINT fk_tests_sample FOREIGN KEY (sample) REFERENCES samples (id),
            CONSTRAINT fk_tests_laboratory FOREIGN KEY (laboratory) REFERENCES laboratories (id)
        )
    """)
    op.execute("CREATE INDEX ix_tests_analyte ON tests (analyte, tested_at)")
    op.execute("CREATE INDEX ix_tests_laboratory ON tests (laboratory)")
    op.execute("CREATE INDEX ix_tests_retest_of ON tests (retest_of)")
    op.execute("CREATE INDEX ix_tests_sample ON tests (sample)")


def _recalls() -> None:
    """What others published, and what this city calls back."""
    op.execute(f"""
        CREATE TABLE notices (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            kind text NOT NULL,
            grade text,
            status text,
            published_at timestamptz NOT NULL,
            title text NOT NULL,
            reason text,
            company text,
            products text,
            regions text,
            url text,
            documents integer NOT NULL,
            {RECORDED},
            CONSTRAINT pk_notices PRIMARY KEY (id),
            CONSTRAINT ck_notices_grade CHECK (grade IN ('I', 'II', 'III'))
        )
    """)
    op.execute("CREATE INDEX ix_notices_published_at ON notices (published_at)")
    op.execute(f"""
        CREATE TABLE notice_documents (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            notice text COLLATE "C" NOT NULL,
            language text NOT NULL,
            kind text NOT NULL,
            grade text,
            status text,
            published_at timestamptz NOT NULL,
            title text NOT NULL,
            reason text,
            company text,
            products text,
            regions text,
            url text,
            {RECORDED},
            CONSTRAINT pk_notice_documents PRIMARY KEY (id)
        )
    """)
    op.execute("CREATE INDEX ix_notice_documents_notice ON notice_documents (notice)")
    op.execute("CREATE INDEX ix_notice_documents_url ON notice_documents (url)")
    op.execute(f"""
        CREATE TABLE recalls (
            id text COLLATE "C" NOT NULL,
            registry text NOT NULL,
            number text NOT NULL,
            grade text NOT NULL,
            reason text NOT NULL,
            notice text COLLATE "C",
            known_since timestamptz NOT NULL,
            start_by timestamptz NOT NULL,
            opened_at timestamptz NOT NULL,
            closed_at timestamptz,
            truncated boolean NOT NULL,
            area text COLLATE "C" NOT NULL,
            {RECORDED},
            CONSTRAINT pk_recalls PRIMARY KEY (id),
            CONSTRAINT ck_recalls_grade CHECK (grade IN ('I', 'II', 'III'))
        )
    """)
    op.execute("CREATE INDEX ix_recalls_area ON recalls (area)")
    op.execute("CREATE INDEX ix_recalls_opened_at ON recalls (opened_at)")
    op.execute(f"""
        CREATE TABLE recall_lots (
            recall text COLLATE "C" NOT NULL,
            lot text COLLATE "C" NOT NULL,
            asked boolean NOT NULL,
            amount double precision,
            {RECORDED},
            CONSTRAINT pk_recall_lots PRIMARY KEY (recall, lot),
            CONSTRAINT fk_recall_lots_recall FOREIGN KEY (recall) REFERENCES recalls (id),
            CONSTRAINT fk_recall_lots_lot FOREIGN KEY (lot) REFERENCES lots (id)
        )
    """)
    op.execute("CREATE INDEX ix_recall_lots_lot ON recall_lots (lot)")
    op.execute(f"""
        CREATE TABLE recall_premises (
            id text COLLATE "C" NOT NULL,
            recall text COLLATE "C" NOT NULL,
            premises text COLLATE "C" NOT NULL,
            lots integer NOT NULL,
            informed_at timestamptz,
            removed_at timestamptz,
            returned double precision,
            unit text,
            finished_at timestamptz,
            {RECORDED},
            CONSTRAINT pk_recall_premises PRIMARY KEY (id),
            CONSTRAINT ck_recall_premises_returned CHECK (returned >= 0),
            CONSTRAINT ck_recall_premises_unit CHECK ((returned IS NULL) = (unit IS NULL)),
            CONSTRAINT fk_recall_premises_recall FOREIGN KEY (recall) REFERENCES recalls (id),
            CONSTRAINT fk_recall_premises_premises FOREIGN KEY (premises) REFERENCES premises (id)
        )
    """)
    op.execute("CREATE INDEX ix_recall_premises_premises ON recall_premises (premises)")
    op.execute("CREATE INDEX ix_recall_premises_recall ON recall_premises (recall)")
