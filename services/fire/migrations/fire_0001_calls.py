"""Fire: calls for service and the responses of units."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "fire_0001_calls"
down_revision = None
branch_labels = ("fire",)
depends_on = "core_0004_idempotency"

TABLES = ("calls", "responses")
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"


def upgrade() -> None:
    """Make the tables that `services/fire/models.py` describes."""
    op.execute(f"""
        CREATE TABLE calls (
            id text COLLATE "C" NOT NULL CONSTRAINT pk_calls PRIMARY KEY,
            registry text NOT NULL,
            number text NOT NULL,
            incident text,
            kind text NOT NULL,
            priority text NOT NULL,
            alarms smallint,
            received_at timestamptz NOT NULL,
            entered_at timestamptz,
            area text COLLATE "C" NOT NULL,
            lon double precision,
            lat double precision,
            units integer NOT NULL DEFAULT 0,
            dispatched_at timestamptz,
            on_scene_at timestamptz,
            closed_at timestamptz,
            handling_s double precision,
            response_s double precision,
            quality smallint NOT NULL DEFAULT 1,
            {RECORDED},
            CONSTRAINT ck_calls_point CHECK ((lon IS NULL) = (lat IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_calls_received_at ON calls (received_at)")
    op.execute("CREATE INDEX ix_calls_area ON calls (area)")
    op.execute("CREATE INDEX ix_calls_point ON calls USING gist (point(lon, lat))")
    op.execute(f"""
        CREATE TABLE responses (
            id text COLLATE "C" NOT NULL CONSTRAINT pk_responses PRIMARY KEY,
            call text COLLATE "C" NOT NULL CONSTRAINT fk_responses_call REFERENCES calls (id),
            unit text NOT NULL,
            unit_kind text NOT NULL,
            dispatched_at timestamptz NOT NULL,
            en_route_at timestamptz,
            on_scene_at timestamptz,
            transport_at timestamptz,
            hospital_at timestamptz,
            available_at timestamptz,
            turnout_s double precision,
            travel_s double precision,
            response_s double precision,
            quality smallint NOT NULL,
            {RECORDED}
        )
    """)
    op.execute("CREATE INDEX ix_responses_call ON responses (call)")
    op.execute("CREATE INDEX ix_responses_dispatched_at ON responses (dispatched_at)")
    for table in TABLES:
        for statement in keep_history_ddl(table):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in reversed(TABLES):
        for statement in drop_history_ddl(table):
            op.execute(statement)
        op.execute(f"DROP TABLE {table}")
