"""Work safety: enterprises, sites, units, substances, inventories, grades, sensors, releases, outlines, accidents."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "worksafety_0001_sites"
down_revision = None
branch_labels = ("worksafety",)
depends_on = ("core_0004_idempotency", "series_0001")

KEYS = {
    "enterprises": "id",
    "sites": "id",
    "units": "id",
    "substances": "code",
    "inventories": "id",
    "grades": "unit",
    "sensors": "code",
    "releases": "id",
    "outlines": "release",
    "accidents": "id",
}
"""The tables in the order of their making, with their primary keys."""
TABLES = (
    """CREATE TABLE enterprises (
        id text COLLATE "C" NOT NULL,
        registry text NOT NULL,
        number text NOT NULL,
        name text NOT NULL,
        industry text,
        address text,
        area text COLLATE "C" NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_enterprises PRIMARY KEY (id)
    )""",
    "CREATE INDEX ix_enterprises_area ON enterprises (area)",
    """CREATE TABLE sites (
        id text COLLATE "C" NOT NULL,
        registry text NOT NULL,
        number text NOT NULL,
        enterprise text COLLATE "C",
        name text NOT NULL,
        address text,
        exposed integer,
        area text COLLATE "C" NOT NULL,
        lon double precision NOT NULL,
        lat double precision NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_sites PRIMARY KEY (id),
        CONSTRAINT ck_sites_exposed CHECK (exposed >= 0),
        CONSTRAINT fk_sites_enterprise FOREIGN KEY (enterprise) REFERENCES enterprises (id)
    )""",
    "CREATE INDEX ix_sites_area ON sites (area)",
    "CREATE INDEX ix_sites_point ON sites USING gist (point(lon, lat))",
    "COMMENT ON COLUMN sites.exposed IS 'Permanent population within 500 m of the boundary (GB 18218-2018, 4.3.2); NULL: not known'",
    """CREATE TABLE units (
        id text COLLATE "C" NOT NULL,
        site text COLLATE "C" NOT NULL,
        number text NOT NULL,
        name text NOT NULL,
        kind text NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_units PRIMARY KEY (id),
        CONSTRAINT fk_units_site FOREIGN KEY (site) REFERENCES sites (id)
    )""",
    "CREATE INDEX ix_units_site ON units (site)",
    """CREATE TABLE substances (
        code text COLLATE "C" NOT NULL,
        cas text COLLATE "C",
        un text COLLATE "C",
        name_zh text NOT NULL,
        name_en text,
        classes text[] DEFAULT '{}' NOT NULL,
        critical_t double precision NOT NULL,
        beta double precision NOT NULL,
        guide text,
        dense_gas boolean,
        edition text NOT NULL,
        source text NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_substances PRIMARY KEY (code),
        CONSTRAINT ck_substances_figures CHECK (critical_t > 0 AND beta > 0)
    )""",
    "CREATE INDEX ix_substances_cas ON substances (cas)",
    "COMMENT ON COLUMN substances.classes IS 'Symbols of GB 18218-2018, table 2: J1, W2'",
    "COMMENT ON COLUMN substances.critical_t IS 'Q of GB 18218-2018, tonnes'",
    "COMMENT ON COLUMN substances.guide IS 'Guide number of the Emergency Response Guidebook'",
    "COMMENT ON COLUMN substances.dense_gas IS 'Whether its cloud hugs the ground; NULL: not known'",
    "COMMENT ON COLUMN substances.source IS 'Where Q and beta stand, and how far they are verified'",
    """CREATE TABLE inventories (
        id text COLLATE "C" NOT NULL,
        unit text COLLATE "C" NOT NULL,
        site text COLLATE "C" NOT NULL,
        substance text COLLATE "C" NOT NULL,
        q_design double precision NOT NULL,
        q_now double precision,
        counted_at timestamptz,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_inventories PRIMARY KEY (id),
        CONSTRAINT ck_inventories_quantities CHECK (q_design >= 0 AND q_now >= 0),
        CONSTRAINT fk_inventories_unit FOREIGN KEY (unit) REFERENCES units (id),
        CONSTRAINT fk_inventories_site FOREIGN KEY (site) REFERENCES sites (id),
        CONSTRAINT fk_inventories_substance FOREIGN KEY (substance) REFERENCES substances (code)
    )""",
    "CREATE INDEX ix_inventories_site ON inventories (site)",
    "CREATE INDEX ix_inventories_substance ON inventories (substance)",
    "CREATE INDEX ix_inventories_unit ON inventories (unit)",
    "COMMENT ON COLUMN inventories.q_design IS 'Design maximum, tonnes (GB 18218-2018, 4.2.2)'",
    "COMMENT ON COLUMN inventories.q_now IS 'There now, tonnes; NULL: not counted'",
    "COMMENT ON COLUMN inventories.counted_at IS 'When q_now was counted'",
    """CREATE TABLE grades (
        unit text COLLATE "C" NOT NULL,
        site text COLLATE "C" NOT NULL,
        identified boolean NOT NULL,
        s double precision NOT NULL,
        alpha double precision NOT NULL,
        exposed integer,
        r double precision NOT NULL,
        grade smallint,
        edition text NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_grades PRIMARY KEY (unit),
        CONSTRAINT fk_grades_unit FOREIGN KEY (unit) REFERENCES units (id),
        CONSTRAINT fk_grades_site FOREIGN KEY (site) REFERENCES sites (id)
    )""",
    "CREATE INDEX ix_grades_site ON grades (site)",
    "COMMENT ON COLUMN grades.identified IS 'S >= 1'",
    "COMMENT ON COLUMN grades.s IS 'Sum of q/Q, GB 18218-2018, eq. (1)'",
    "COMMENT ON COLUMN grades.exposed IS 'The population that alpha rests on; NULL: not known, the gravest assumed'",
    "COMMENT ON COLUMN grades.r IS 'GB 18218-2018, eq. (2)'",
    "COMMENT ON COLUMN grades.grade IS '1 (gravest) to 4; NULL: no major hazard source'",
    """CREATE TABLE sensors (
        code text COLLATE "C" NOT NULL,
        site text COLLATE "C" NOT NULL,
        property text COLLATE "C" NOT NULL,
        name text,
        cas text COLLATE "C",
        alarm_low double precision,
        alarm_high double precision,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_sensors PRIMARY KEY (code),
        CONSTRAINT ck_sensors_alarms CHECK (alarm_low <= alarm_high),
        CONSTRAINT fk_sensors_site FOREIGN KEY (site) REFERENCES sites (id)
    )""",
    "CREATE INDEX ix_sensors_site ON sensors (site)",
    "COMMENT ON COLUMN sensors.cas IS 'What a gas detector detects'",
    "COMMENT ON COLUMN sensors.alarm_low IS 'First alarm (GB/T 50493-2019), in the unit of the property'",
    "COMMENT ON COLUMN sensors.alarm_high IS 'Second alarm'",
    """CREATE TABLE releases (
        id text COLLATE "C" NOT NULL,
        revision integer NOT NULL,
        site text COLLATE "C",
        unit text COLLATE "C",
        substance text COLLATE "C" NOT NULL,
        un text COLLATE "C",
        name_zh text NOT NULL,
        name_en text NOT NULL,
        rate_kg_s double precision,
        amount_kg double precision,
        began_at timestamptz NOT NULL,
        ended_at timestamptz,
        note text,
        area text COLLATE "C" NOT NULL,
        lon double precision NOT NULL,
        lat double precision NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_releases PRIMARY KEY (id),
        CONSTRAINT ck_releases_figures CHECK (rate_kg_s > 0 AND amount_kg > 0),
        CONSTRAINT fk_releases_site FOREIGN KEY (site) REFERENCES sites (id),
        CONSTRAINT fk_releases_unit FOREIGN KEY (unit) REFERENCES units (id)
    )""",
    "CREATE INDEX ix_releases_began_at ON releases (began_at)",
    "CREATE INDEX ix_releases_open ON releases USING gist (point(lon, lat)) WHERE ended_at IS NULL",
    "COMMENT ON COLUMN releases.substance IS 'CAS registry number'",
    """CREATE TABLE outlines (
        release text COLLATE "C" NOT NULL,
        revision integer NOT NULL,
        method text,
        source text,
        valid boolean,
        isolation_m double precision,
        protective_m double precision,
        wind_from_deg double precision,
        wind_speed_m_s double precision,
        geometry jsonb,
        computed_at timestamptz,
        lifted_at timestamptz,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_outlines PRIMARY KEY (release)
    )""",
    """CREATE TABLE accidents (
        id text COLLATE "C" NOT NULL,
        registry text NOT NULL,
        number text NOT NULL,
        title text NOT NULL,
        narrative text,
        happened_on date,
        industry text,
        injury text,
        occupation text,
        cause text,
        fall_m double precision,
        deaths integer,
        serious_injuries integer,
        loss_cny double precision,
        grade smallint,
        area text COLLATE "C" NOT NULL,
        lon double precision,
        lat double precision,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_accidents PRIMARY KEY (id),
        CONSTRAINT ck_accidents_point CHECK ((lon IS NULL) = (lat IS NULL)),
        CONSTRAINT ck_accidents_figures CHECK (deaths >= 0 AND serious_injuries >= 0 AND loss_cny >= 0 AND fall_m >= 0)
    )""",
    "CREATE INDEX ix_accidents_area ON accidents (area)",
    "CREATE INDEX ix_accidents_happened_on ON accidents (happened_on)",
    "COMMENT ON COLUMN accidents.industry IS 'Code of the industry in the registry''s own classification'",
    "COMMENT ON COLUMN accidents.fall_m IS 'Height of the fall, metres'",
    "COMMENT ON COLUMN accidents.loss_cny IS 'Direct economic loss, yuan'",
    "COMMENT ON COLUMN accidents.grade IS '1 (gravest) to 4 by Decree 493; NULL where no figure is known'",
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
