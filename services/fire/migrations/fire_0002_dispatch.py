"""Fire: stations, units, hydrants, incidents, dispatches, messages to crews."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "fire_0002_dispatch"
down_revision = "fire_0001_calls"
branch_labels = None
depends_on = None

RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"
POINT = "lon double precision, lat double precision"
KEY = 'text COLLATE "C"'
HISTORY = {"stations": "code", "units": "code", "unit_status": "unit", "hydrants": "code", "incidents": "id"}
TABLES = (
    *("stations", "units", "unit_status", "unit_reports", "unit_positions", "hydrants", "incidents", "incident_calls", "assignments", "incident_work"),
    *("response_plan", "releases", "closures", "crew_messages", "crew_counter", "crew_acknowledgements"),
)

PLACES = f"""
CREATE TABLE stations (
    code {KEY} NOT NULL CONSTRAINT pk_stations PRIMARY KEY,
    kind text NOT NULL,
    status text NOT NULL,
    name_zh text,
    name_en text,
    address text,
    vehicles integer,
    note text,
    area {KEY} NOT NULL,
    {POINT},
    {RECORDED},
    CONSTRAINT ck_stations_point CHECK ((lon IS NULL) = (lat IS NULL))
);
COMMENT ON COLUMN stations.vehicles IS 'Vehicles that it has room for';
CREATE INDEX ix_stations_point ON stations USING gist (point(lon, lat));
CREATE TABLE hydrants (
    code {KEY} NOT NULL CONSTRAINT pk_hydrants PRIMARY KEY,
    kind text NOT NULL,
    flow_l_s double precision,
    in_service boolean NOT NULL,
    note text,
    area {KEY} NOT NULL,
    lon double precision NOT NULL,
    lat double precision NOT NULL,
    {RECORDED}
);
CREATE INDEX ix_hydrants_point ON hydrants USING gist (point(lon, lat))
"""
UNITS = f"""
CREATE TABLE units (
    code {KEY} NOT NULL CONSTRAINT pk_units PRIMARY KEY,
    kind text NOT NULL,
    station {KEY} CONSTRAINT fk_units_station REFERENCES stations (code),
    name_zh text,
    name_en text,
    capabilities text NOT NULL,
    area {KEY} NOT NULL,
    {RECORDED}
);
COMMENT ON COLUMN units.capabilities IS 'Sorted words, separated by commas';
CREATE INDEX ix_units_station ON units (station);
CREATE TABLE unit_status (
    unit {KEY} NOT NULL CONSTRAINT pk_unit_status PRIMARY KEY CONSTRAINT fk_unit_status_unit REFERENCES units (code),
    state text NOT NULL,
    state_at timestamptz NOT NULL,
    incident {KEY},
    {RECORDED}
);
COMMENT ON COLUMN unit_status.incident IS 'That it is assigned to';
CREATE TABLE unit_reports (
    unit {KEY} NOT NULL CONSTRAINT fk_unit_reports_unit REFERENCES units (code),
    at timestamptz NOT NULL,
    state text NOT NULL,
    incident {KEY},
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL,
    CONSTRAINT pk_unit_reports PRIMARY KEY (unit, at, state)
);
CREATE TABLE unit_positions (
    unit {KEY} NOT NULL CONSTRAINT pk_unit_positions PRIMARY KEY CONSTRAINT fk_unit_positions_unit REFERENCES units (code),
    lon double precision NOT NULL,
    lat double precision NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50)
"""
INCIDENTS = f"""
CREATE TABLE incidents (
    id {KEY} NOT NULL CONSTRAINT pk_incidents PRIMARY KEY,
    kind text NOT NULL,
    priority text NOT NULL,
    state text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    area {KEY} NOT NULL,
    {POINT},
    call {KEY} CONSTRAINT fk_incidents_call REFERENCES calls (id),
    release {KEY},
    regarding text,
    calls integer NOT NULL,
    units integer NOT NULL DEFAULT 0,
    dispatched_at timestamptz,
    on_scene_at timestamptz,
    assembled_at timestamptz,
    response_s double precision,
    assembly_s double precision,
    {RECORDED},
    CONSTRAINT ck_incidents_point CHECK ((lon IS NULL) = (lat IS NULL))
);
CREATE INDEX ix_incidents_opened_at ON incidents (opened_at);
CREATE INDEX ix_incidents_area ON incidents (area);
CREATE INDEX ix_incidents_open ON incidents (opened_at) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX uq_incidents_release ON incidents (release) WHERE release IS NOT NULL;
CREATE TABLE incident_calls (
    call {KEY} NOT NULL CONSTRAINT pk_incident_calls PRIMARY KEY CONSTRAINT fk_incident_calls_call REFERENCES calls (id),
    incident {KEY} NOT NULL CONSTRAINT fk_incident_calls_incident REFERENCES incidents (id)
);
CREATE INDEX ix_incident_calls_incident ON incident_calls (incident)
"""
DISPATCH = f"""
CREATE TABLE assignments (
    incident {KEY} NOT NULL CONSTRAINT fk_assignments_incident REFERENCES incidents (id),
    unit {KEY} NOT NULL CONSTRAINT fk_assignments_unit REFERENCES units (code),
    assigned_at timestamptz NOT NULL,
    released_at timestamptz,
    on_scene_at timestamptz,
    first boolean NOT NULL,
    travel_s double precision,
    travel_times text NOT NULL,
    CONSTRAINT pk_assignments PRIMARY KEY (incident, unit, assigned_at)
);
COMMENT ON COLUMN assignments.first IS 'Whether it belongs to the first assignment of the incident';
CREATE UNIQUE INDEX uq_assignments_unit ON assignments (unit) WHERE released_at IS NULL;
CREATE TABLE incident_work (
    incident {KEY} NOT NULL CONSTRAINT pk_incident_work PRIMARY KEY CONSTRAINT fk_incident_work_incident REFERENCES incidents (id),
    dispatch boolean NOT NULL,
    needs jsonb,
    wanted bigint NOT NULL,
    served bigint NOT NULL DEFAULT 0,
    reroute boolean NOT NULL DEFAULT false,
    outline_until timestamptz,
    retry_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    claimed_by text,
    claimed_until timestamptz
);
COMMENT ON COLUMN incident_work.dispatch IS 'Whether units are to be sent';
COMMENT ON COLUMN incident_work.needs IS 'What is to be sent, if not what the plan says';
COMMENT ON COLUMN incident_work.wanted IS 'Grows with every reason to look at the incident again';
COMMENT ON COLUMN incident_work.outline_until IS 'How long the first message waits for the outline';
CREATE INDEX ix_incident_work_undone ON incident_work (incident) WHERE served < wanted OR retry_at IS NOT NULL;
CREATE TABLE response_plan (
    incident_kind {KEY} NOT NULL,
    position smallint NOT NULL,
    unit_kinds text[] NOT NULL,
    count smallint NOT NULL,
    capability text,
    source text NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT pk_response_plan PRIMARY KEY (incident_kind, position)
)
"""
CREWS = f"""
CREATE TABLE releases (
    id {KEY} NOT NULL CONSTRAINT pk_releases PRIMARY KEY,
    report jsonb,
    revision integer NOT NULL,
    concluded_at timestamptz,
    outline jsonb,
    outline_revision integer NOT NULL,
    lifted_at timestamptz
);
COMMENT ON COLUMN releases.report IS 'Data of the newest ReleaseReported';
COMMENT ON COLUMN releases.outline IS 'Data of the newest OutlineComputed';
CREATE TABLE closures (
    id {KEY} NOT NULL CONSTRAINT pk_closures PRIMARY KEY,
    revision integer NOT NULL,
    geometry jsonb,
    begins_at timestamptz,
    ends_at timestamptz,
    ended_at timestamptz
);
CREATE TABLE crew_messages (
    incident {KEY} NOT NULL CONSTRAINT fk_crew_messages_incident REFERENCES incidents (id),
    revision integer NOT NULL,
    position bigint NOT NULL CONSTRAINT uq_crew_messages_position UNIQUE,
    area {KEY} NOT NULL,
    units text[] NOT NULL,
    missing text[] NOT NULL,
    digest text NOT NULL,
    content jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT pk_crew_messages PRIMARY KEY (incident, revision)
);
CREATE TABLE crew_counter (position bigint NOT NULL CONSTRAINT pk_crew_counter PRIMARY KEY);
INSERT INTO crew_counter VALUES (0);
CREATE TABLE crew_acknowledgements (
    incident {KEY} NOT NULL,
    revision integer NOT NULL,
    unit {KEY} NOT NULL,
    at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    CONSTRAINT pk_crew_acknowledgements PRIMARY KEY (incident, revision, unit)
)
"""


def upgrade() -> None:
    """Make the tables that `services/fire/models.py` describes."""
    for part in (PLACES, UNITS, INCIDENTS, DISPATCH, CREWS):
        for statement in part.split(";\n"):
            op.execute(statement)
    for table, key in HISTORY.items():
        for statement in keep_history_ddl(table, key=(key,)):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in HISTORY:
        for statement in drop_history_ddl(table):
            op.execute(statement)
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
