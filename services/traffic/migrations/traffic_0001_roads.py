"""Traffic: road network, detectors, incidents, closures."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "traffic_0001_roads"
down_revision = None
branch_labels = ("traffic",)
depends_on = ("core_0004_idempotency", "series_0001")

KEPT = {"networks": "id", "roads": "id", "detectors": "code", "incidents": "id", "closures": "id"}
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"
TABLES = (
    """
    CREATE TABLE network_contents (
        version text COLLATE "C" NOT NULL CONSTRAINT pk_network_contents PRIMARY KEY,
        content bytea NOT NULL,
        kept_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "ALTER TABLE network_contents ALTER COLUMN content SET STORAGE EXTERNAL",
    "COMMENT ON COLUMN network_contents.content IS 'Arrow IPC, as shared/roads writes it'",
    f"""
    CREATE TABLE networks (
        id text COLLATE "C" NOT NULL CONSTRAINT pk_networks PRIMARY KEY CONSTRAINT ck_networks_one CHECK (id = 'roads'),
        version text COLLATE "C" NOT NULL,
        source text NOT NULL,
        form text NOT NULL,
        nodes integer NOT NULL,
        arcs integer NOT NULL,
        length_km double precision NOT NULL,
        notes text,
        area text COLLATE "C" NOT NULL,
        {RECORDED}
    )
    """,
    f"""
    CREATE TABLE roads (
        id text COLLATE "C" NOT NULL CONSTRAINT pk_roads PRIMARY KEY,
        from_node text NOT NULL,
        to_node text NOT NULL,
        way text,
        name text,
        road_class text,
        length_m double precision NOT NULL,
        car_s double precision NOT NULL,
        siren_s double precision NOT NULL,
        lanes smallint,
        area text COLLATE "C" NOT NULL,
        geometry jsonb NOT NULL,
        extent box NOT NULL,
        {RECORDED}
    )
    """,
    "CREATE INDEX ix_roads_extent ON roads USING gist (extent)",
    f"""
    CREATE TABLE detectors (
        code text COLLATE "C" NOT NULL CONSTRAINT pk_detectors PRIMARY KEY,
        name_zh text,
        name_en text,
        road text,
        area text COLLATE "C" NOT NULL,
        lon double precision,
        lat double precision,
        timezone text NOT NULL,
        {RECORDED},
        CONSTRAINT ck_detectors_point CHECK ((lon IS NULL) = (lat IS NULL))
    )
    """,
    "COMMENT ON COLUMN detectors.timezone IS 'IANA zone in which the detector counts its days'",
    "CREATE INDEX ix_detectors_point ON detectors USING gist (point(lon, lat))",
    f"""
    CREATE TABLE incidents (
        id text COLLATE "C" NOT NULL CONSTRAINT pk_incidents PRIMARY KEY,
        registry text NOT NULL,
        number text NOT NULL,
        kind text NOT NULL,
        severity text NOT NULL,
        occurred_at timestamptz NOT NULL,
        cleared_at timestamptz,
        road_class text,
        pedestrian boolean,
        cyclist boolean,
        area text COLLATE "C" NOT NULL,
        lon double precision,
        lat double precision,
        {RECORDED},
        CONSTRAINT ck_incidents_point CHECK ((lon IS NULL) = (lat IS NULL))
    )
    """,
    "CREATE INDEX ix_incidents_occurred_at ON incidents (occurred_at)",
    "CREATE INDEX ix_incidents_area ON incidents (area)",
    "CREATE INDEX ix_incidents_point ON incidents USING gist (point(lon, lat))",
    f"""
    CREATE TABLE closures (
        id text COLLATE "C" NOT NULL CONSTRAINT pk_closures PRIMARY KEY,
        revision integer NOT NULL,
        reason text NOT NULL,
        note text,
        begins_at timestamptz NOT NULL,
        ends_at timestamptz,
        ended_at timestamptz,
        regarding text,
        release text,
        outline integer,
        arcs integer NOT NULL,
        network text,
        area text COLLATE "C" NOT NULL,
        geometry jsonb,
        extent box,
        {RECORDED},
        CONSTRAINT ck_closures_times CHECK (ends_at > begins_at),
        CONSTRAINT ck_closures_extent CHECK ((geometry IS NULL) = (extent IS NULL))
    )
    """,
    "COMMENT ON COLUMN closures.outline IS 'Revision of the release''s outline that the geometry is'",
    "CREATE INDEX ix_closures_extent ON closures USING gist (extent)",
    "CREATE INDEX ix_closures_begins_at ON closures (begins_at)",
    "CREATE UNIQUE INDEX ux_closures_release ON closures (release)",
    "CREATE INDEX ix_closures_open ON closures (ends_at) WHERE ended_at IS NULL",
)


def upgrade() -> None:
    """Make the tables that `services/traffic/models.py` describes."""
    for statement in TABLES:
        op.execute(statement)
    for table, key in KEPT.items():
        for statement in keep_history_ddl(table, key=(key,)):
            op.execute(statement)


def downgrade() -> None:
    for table in KEPT:
        for statement in drop_history_ddl(table):
            op.execute(statement)
    for table in (*KEPT, "network_contents"):
        op.execute(f"DROP TABLE {table}")
