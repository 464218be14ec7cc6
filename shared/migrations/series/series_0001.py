"""Series: what is measured where, values by month, hourly roll-ups, days."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "series_0001"
down_revision = None
branch_labels = ("series",)
depends_on = "core_0004_idempotency"

TABLES = (
    """CREATE TABLE series (
        id integer GENERATED ALWAYS AS IDENTITY,
        interval_s integer,
        feature text COLLATE "C" NOT NULL,
        property text COLLATE "C" NOT NULL,
        unit text NOT NULL,
        timing text NOT NULL,
        hour_needs smallint NOT NULL,
        timezone text NOT NULL,
        whole_hours boolean NOT NULL,
        name_zh text,
        name_en text,
        area text COLLATE "C" NOT NULL,
        lon double precision,
        lat double precision,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        recorded_by text NOT NULL,
        CONSTRAINT pk_series PRIMARY KEY (id),
        CONSTRAINT uq_series_feature UNIQUE (feature, property),
        CONSTRAINT ck_series_timing CHECK (timing IN ('instant', 'begin', 'end')),
        CONSTRAINT ck_series_interval CHECK (timing = 'instant' OR interval_s > 0)
    )""",
    "COMMENT ON COLUMN series.feature IS 'Code of the station, detector or gauge'",
    "COMMENT ON COLUMN series.unit IS 'UCUM code of the values'",
    "COMMENT ON COLUMN series.timing IS 'Whether senders'' times are instants, or the beginning or end of an interval'",
    "COMMENT ON COLUMN series.hour_needs IS 'Values without which an hour is not valid'",
    "COMMENT ON COLUMN series.timezone IS 'IANA zone in which the place counts its days'",
    "COMMENT ON COLUMN series.whole_hours IS 'Whether that zone has always been whole hours from UTC'",
    # eight-byte columns first: no padding between them
    """CREATE TABLE observations (
        time timestamptz NOT NULL,
        value double precision NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
        series integer NOT NULL,
        quality smallint NOT NULL,
        recorded_by text NOT NULL,
        CONSTRAINT pk_observations PRIMARY KEY (series, time)
    ) PARTITION BY RANGE (time)""",
    "COMMENT ON COLUMN observations.time IS 'Beginning of the interval, or the instant'",
    "CREATE INDEX ix_observations_time ON observations USING brin (time)",
    """CREATE TABLE observations_hourly (
        hour timestamptz NOT NULL,
        sum double precision NOT NULL,
        mean double precision NOT NULL,
        m2 double precision NOT NULL,
        min double precision NOT NULL,
        max double precision NOT NULL,
        series integer NOT NULL,
        count integer NOT NULL,
        CONSTRAINT pk_observations_hourly PRIMARY KEY (series, hour)
    ) WITH (fillfactor = 70)""",
    "COMMENT ON COLUMN observations_hourly.m2 IS 'Sum of squared deviations from the mean'",
)

# As its owner: the app role may not make tables. The new partition is filled apart and then attached, because ATTACH lets other writers go on.
MAKE_PARTITION = """
CREATE FUNCTION make_observation_partition(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'observations_' || to_char(month, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month <> date_trunc('month', month)::date OR month < '1900-01-01' OR month > now() + interval '2 months' THEN
        RAISE EXCEPTION 'no partition for %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('liandong:observations', 0));
    IF EXISTS (SELECT 1 FROM pg_class WHERE relname = partition AND relnamespace = 'public'::regnamespace) THEN
        RETURN; -- made by another while this one waited; to_regclass would still remember that there was none
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE observations INCLUDING ALL)', partition);
    EXECUTE format('ALTER TABLE observations ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition, month::text || ' 00:00+00', (month + interval '1 month')::date::text || ' 00:00+00');
END $$
"""

# Hours are UTC hours, so days are made of them only where the zone allows; elsewhere of the values. Flags above 3 are bad (shared/series/properties.py).
DAILY = """
CREATE VIEW observations_daily AS
SELECT s.id AS series, s.feature, s.property, s.unit, s.name_zh, s.name_en, s.area, s.lon, s.lat,
    (h.hour AT TIME ZONE s.timezone)::date AS date,
    (h.hour AT TIME ZONE s.timezone)::date::timestamp AT TIME ZONE s.timezone AS day,
    count(*)::smallint AS hours, avg(h.mean) AS mean, min(h.min) AS min, max(h.max) AS max
FROM series s JOIN observations_hourly h ON h.series = s.id
WHERE s.whole_hours AND h.count >= s.hour_needs
GROUP BY s.id, (h.hour AT TIME ZONE s.timezone)::date
UNION ALL
SELECT s.id, s.feature, s.property, s.unit, s.name_zh, s.name_en, s.area, s.lon, s.lat,
    h.hour::date, h.hour::date::timestamp AT TIME ZONE s.timezone, count(*)::smallint, avg(h.mean), min(h.min), max(h.max)
FROM series s JOIN (
    SELECT o.series, date_trunc('hour', o.time AT TIME ZONE z.timezone) AS hour, avg(o.value) AS mean, min(o.value) AS min, max(o.value) AS max
    FROM observations o JOIN series z ON z.id = o.series
    WHERE NOT z.whole_hours AND o.quality <= 3
    GROUP BY o.series, z.hour_needs, date_trunc('hour', o.time AT TIME ZONE z.timezone)
    HAVING count(*) >= z.hour_needs
) h ON h.series = s.id
WHERE NOT s.whole_hours
GROUP BY s.id, h.hour::date
"""


def upgrade() -> None:
    """Make the tables that `shared/series/tables.py` describes, with their history, and the view of `shared/series/daily.py`."""
    for statement in (*TABLES, *keep_history_ddl("series"), *keep_history_ddl("observations", key=("series", "time")), MAKE_PARTITION, DAILY):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP VIEW observations_daily")
    op.execute("DROP FUNCTION make_observation_partition(date)")
    for statement in (*drop_history_ddl("observations"), *drop_history_ddl("series")):
        op.execute(statement)
    for table in ("observations_hourly", "observations", "series"):
        op.execute(f"DROP TABLE {table}")
