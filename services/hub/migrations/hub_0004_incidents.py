"""Hub: incidents, what belongs to them, tasks to sectors."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "hub_0004_incidents"
down_revision = "hub_0003_regarding"
branch_labels = None
depends_on = None

RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"
KEY = 'text COLLATE "C" NOT NULL'


def upgrade() -> None:
    """Make the tables that `services/hub/incidents/models.py` describes."""
    _incidents()
    _belongings()
    _tasks()
    for table in ("incidents", "tasks"):
        for statement in keep_history_ddl(table):
            op.execute(statement)


def _incidents() -> None:
    op.execute(f"""
        CREATE TABLE incidents (
            id {KEY} CONSTRAINT pk_incidents PRIMARY KEY,
            kind text NOT NULL,
            title_zh text NOT NULL,
            title_en text NOT NULL,
            area {KEY},
            place text,
            lon double precision,
            lat double precision,
            exercise boolean NOT NULL DEFAULT false,
            un text,
            grade smallint NOT NULL,
            grade_basis text NOT NULL,
            grade_reason text NOT NULL,
            deaths integer,
            serious_injuries integer,
            loss_cny double precision,
            people_threatened integer,
            response_level smallint,
            response_authority text,
            commander text,
            state text NOT NULL DEFAULT 'open',
            opened_at timestamptz NOT NULL,
            closing_proposed_at timestamptz,
            closed_at timestamptz,
            summary text,
            revision integer NOT NULL DEFAULT 1,
            {RECORDED},
            CONSTRAINT ck_incidents_point CHECK ((lon IS NULL) = (lat IS NULL)),
            CONSTRAINT ck_incidents_scales CHECK (grade BETWEEN 1 AND 4 AND response_level BETWEEN 1 AND 4),
            CONSTRAINT ck_incidents_response CHECK ((response_level IS NULL) = (response_authority IS NULL)),
            CONSTRAINT ck_incidents_closed CHECK ((state = 'closed') = (closed_at IS NOT NULL) AND (state = 'open' OR summary IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX ix_incidents_opened_at ON incidents (opened_at)")
    op.execute("CREATE INDEX ix_incidents_area ON incidents (area)")


def _belongings() -> None:
    op.execute(f"""
        CREATE TABLE incident_subjects (
            regarding {KEY} CONSTRAINT pk_incident_subjects PRIMARY KEY,
            incident {KEY} CONSTRAINT fk_incident_subjects_incident REFERENCES incidents (id),
            joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            joined_by text NOT NULL
        )
    """)
    op.execute("CREATE INDEX ix_incident_subjects_incident ON incident_subjects (incident)")
    op.execute(f"""
        CREATE TABLE incident_events (
            incident {KEY} CONSTRAINT fk_incident_events_incident REFERENCES incidents (id),
            position bigint NOT NULL CONSTRAINT fk_incident_events_position REFERENCES event_log (position),
            attached_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            attached_by text NOT NULL,
            CONSTRAINT pk_incident_events PRIMARY KEY (incident, position)
        )
    """)
    op.execute(f"""
        CREATE TABLE incident_entries (
            id {KEY} CONSTRAINT pk_incident_entries PRIMARY KEY,
            incident {KEY} CONSTRAINT fk_incident_entries_incident REFERENCES incidents (id),
            kind text NOT NULL,
            text text NOT NULL,
            coverage jsonb,
            at timestamptz NOT NULL,
            by text NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX ix_incident_entries_incident ON incident_entries (incident, recorded_at, id)")


def _tasks() -> None:
    op.execute(f"""
        CREATE TABLE tasks (
            id {KEY} CONSTRAINT pk_tasks PRIMARY KEY,
            incident {KEY} CONSTRAINT fk_tasks_incident REFERENCES incidents (id),
            area {KEY},
            sector text NOT NULL,
            what_zh text NOT NULL,
            what_en text NOT NULL,
            due_at timestamptz,
            state text NOT NULL DEFAULT 'assigned',
            note text,
            assigned_at timestamptz NOT NULL,
            answered_at timestamptz,
            answered_by text,
            {RECORDED},
            CONSTRAINT ck_tasks_answered CHECK ((state = 'assigned') = (answered_at IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_tasks_incident ON tasks (incident)")
    op.execute("CREATE INDEX ix_tasks_sector ON tasks (sector, state)")


def downgrade() -> None:
    """Drop incidents and tasks with their history."""
    for table in ("tasks", "incidents"):
        for statement in drop_history_ddl(table):
            op.execute(statement)
    for table in ("tasks", "incident_entries", "incident_events", "incident_subjects", "incidents"):
        op.drop_table(table)
