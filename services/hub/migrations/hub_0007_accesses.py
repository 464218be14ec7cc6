"""Hub: the access record."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "hub_0007_accesses"
down_revision = "hub_0006_second_person"
branch_labels = None
depends_on = None

LEAST_DAYS = 183
"""Six months, the least for which the Cybersecurity Law has logs kept (《网络安全法》)."""
TABLE = """CREATE TABLE accesses (
    id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    request text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    actor text,
    purpose text NOT NULL,
    kind text NOT NULL,
    dataset text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    fields text NOT NULL,
    asked text NOT NULL,
    answered text NOT NULL,
    missing text NOT NULL,
    status smallint NOT NULL,
    complete boolean NOT NULL,
    rows bigint,
    elapsed_ms integer NOT NULL,
    areas text NOT NULL,
    grade text NOT NULL,
    personal text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
    recorded_by text NOT NULL,
    CONSTRAINT pk_accesses PRIMARY KEY (id, at)
) PARTITION BY RANGE (at)"""
COMMENTS = {
    "request": "Several rows of one question share it",
    "actor": "Who asked on the subject''s behalf",
    "service": "Who owns the dataset",
    "asked": "JSON; values of personal fields are left out",
    "answered": "Sources that answered",
    "missing": "Sources that did not",
}
INDEXES = (
    "CREATE INDEX ix_accesses_at ON accesses (at)",
    "CREATE INDEX ix_accesses_service ON accesses (service, at)",
    "CREATE INDEX ix_accesses_subject ON accesses (subject, at)",
)

# The app role may add rows and nothing else: not even to a partition by its own name.
INSERT_ONLY = """
CREATE FUNCTION insert_only(kept regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    grantee regrole;
BEGIN
    FOR grantee IN
        SELECT DISTINCT acl.grantee::regrole FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = kept AND acl.grantee NOT IN (relowner, 0)
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s', kept, grantee);
    END LOOP;
END $$
"""
MAKE_PARTITION = """
CREATE FUNCTION make_access_partition(month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'accesses_' || to_char(month, 'YYYY_MM');
BEGIN
    IF month IS NULL OR month <> date_trunc('month', month)::date OR month < now() - interval '13 months' OR month > now() + interval '2 months' THEN
        RAISE EXCEPTION 'no partition for %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('liandong:accesses', 0));
    IF EXISTS (SELECT 1 FROM pg_class WHERE relname = partition AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE accesses INCLUDING ALL)', partition);
    PERFORM seal_table(partition::regclass);
    EXECUTE format('ALTER TABLE accesses ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition, month::text || ' 00:00+00', (month + interval '1 month')::date::text || ' 00:00+00');
END $$
"""
FORGET = f"""
CREATE FUNCTION forget_accesses(kept_days integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text;
    forgotten integer := 0;
BEGIN
    IF kept_days IS NULL OR kept_days < {LEAST_DAYS} THEN
        RAISE EXCEPTION 'the access record is kept at least {LEAST_DAYS} days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR partition IN
        SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid
        WHERE inhparent = 'accesses'::regclass AND to_date(right(relname, 7), 'YYYY_MM') + interval '1 month' < now() - make_interval(days => kept_days)
    LOOP
        EXECUTE format('DROP TABLE %I', partition);
        forgotten := forgotten + 1;
    END LOOP;
    RETURN forgotten;
END $$
"""


def upgrade() -> None:
    """Make the record, which only grows, and the two functions that add and drop months."""
    comments = [f"COMMENT ON COLUMN accesses.{column} IS '{words}'" for column, words in COMMENTS.items()]
    for statement in (TABLE, *comments, *INDEXES, *keep_history_ddl("accesses", key=("id", "at")), INSERT_ONLY, MAKE_PARTITION, FORGET):
        op.execute(statement)
    op.execute("SELECT insert_only('accesses')")


def downgrade() -> None:
    """Forget who asked what."""
    for name in ("forget_accesses", "make_access_partition", "insert_only"):
        op.execute(f"DROP FUNCTION {name}")
    for statement in drop_history_ddl("accesses"):
        op.execute(statement)
    op.execute("DROP TABLE accesses")
