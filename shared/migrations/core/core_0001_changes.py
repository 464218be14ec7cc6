"""Core: dataset change rows and the functions that keep history."""

from __future__ import annotations

from alembic import op

revision = "core_0001_changes"
down_revision = None
branch_labels = ("core",)
depends_on = None

# Advisory locks mark moments in flight: a tag in the top 12 bits, microseconds since 1970 in the other 52 (until the year 2112).
WRITING, COMMITTING, FOLDING = 0x4C1, 0x4C2, 0x4C3
FOLD_EVERY = 1000
MICROSECONDS = "(extract(epoch FROM {0}) * 1000000)::bigint"

BEGIN_MOMENT = f"""
CREATE FUNCTION begin_moment() RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz;
BEGIN
    IF current_setting('liandong.moment', true) <> '' THEN
        RETURN recorded_moment();
    END IF;
    LOOP -- the lock makes the moment this transaction's own among all that are in flight
        moment := clock_timestamp();
        EXIT WHEN pg_try_advisory_xact_lock(({WRITING}::bigint << 52) | {MICROSECONDS.format("moment")});
    END LOOP;
    PERFORM set_config('liandong.moment', extract(epoch FROM moment)::text, true);
    RETURN moment;
END $$
"""

# The default of every `recorded_at`, so it must be quick: inlined, it reads a setting, where PL/pgSQL would cost more than the rest of a COPY.
# A float holds microseconds until 2255. Tables that keep no history bear the beginning of the transaction.
RECORDED_MOMENT = """
CREATE FUNCTION recorded_moment() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    SELECT coalesce(to_timestamp(nullif(current_setting('liandong.moment', true), '')::float8), now())
$$
"""

BEGIN_RECORDING = """
CREATE FUNCTION begin_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM begin_moment();
    RETURN NULL;
END $$
"""

RENEW_RECORDED_AT = """
CREATE FUNCTION renew_recorded_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.recorded_at := recorded_moment();
    RETURN NEW;
END $$
"""

NOTE_CHANGE = """
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moment timestamptz := recorded_moment(); -- in flight before the row has its id: fold_changes() relies on this order
BEGIN
    INSERT INTO changes (table_name, recorded_at) VALUES (TG_TABLE_NAME, moment) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

KEEP_SUPERSEDED = """
CREATE FUNCTION keep_superseded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moment timestamptz := recorded_moment();
BEGIN
    -- what this transaction itself wrote was never known to anyone
    EXECUTE format('INSERT INTO %I SELECT $1, o.* FROM superseded o WHERE o.recorded_at <> $1', TG_TABLE_NAME || '_history')
        USING moment;
    INSERT INTO changes (table_name, recorded_at) VALUES (TG_TABLE_NAME, moment) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

SETTLE_CHANGE = f"""
CREATE FUNCTION settle_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- locked before the clock is read and until the commit is visible: settled_moment() relies on this order
    PERFORM pg_advisory_xact_lock_shared(({COMMITTING}::bigint << 52) | {MICROSECONDS.format("clock_timestamp()")});
    UPDATE changes SET committed_at = greatest(recorded_at, clock_timestamp()) WHERE id = NEW.id;
    IF NEW.id % {FOLD_EVERY} = 0 AND current_setting('transaction_isolation') = 'read committed' THEN
        PERFORM fold_changes();
    END IF;
    RETURN NULL;
END $$
"""

OLDEST_IN_FLIGHT = """
CREATE FUNCTION oldest_in_flight(tag bigint) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    SELECT to_timestamp(0) + min(((classid::bigint << 32) | objid::bigint) & ((1::bigint << 52) - 1)) * interval '1 microsecond'
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 20 = tag
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
$$
"""

SETTLED_MOMENT = f"""
CREATE FUNCTION settled_moment(asked timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    moment timestamptz := least(asked, clock_timestamp()); -- the clock before the locks
BEGIN
    RETURN least(moment, oldest_in_flight({COMMITTING}) - interval '1 microsecond');
END $$
"""

FOLD_CHANGES = f"""
CREATE FUNCTION fold_changes() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    folded bigint;
    oldest timestamptz;
    latest bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock({FOLDING}::bigint << 52) THEN
        RETURN;
    END IF;
    folded := coalesce((SELECT max(through) FROM change_counts), 0); -- only now: the one before us may just have folded
    oldest := oldest_in_flight({WRITING});
    -- whoever is still in flight took its id after these were committed, so below this id nothing will appear any more
    SELECT id INTO latest FROM changes WHERE committed_at < oldest ORDER BY id DESC LIMIT 1;
    INSERT INTO change_counts (table_name, through, changes)
    SELECT table_name, latest, count(*) FROM changes WHERE id > folded AND id <= latest GROUP BY table_name
    ON CONFLICT (table_name) DO UPDATE SET through = excluded.through, changes = change_counts.changes + excluded.changes;
END $$
"""

SEAL_TABLE = """
CREATE FUNCTION seal_table(sealed regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    grantee regrole;
BEGIN
    FOR grantee IN
        SELECT DISTINCT acl.grantee::regrole FROM pg_class, aclexplode(relacl) AS acl
        WHERE pg_class.oid = sealed AND acl.grantee NOT IN (relowner, 0)
    LOOP
        EXECUTE format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %s FROM %s', sealed, grantee);
    END LOOP;
END $$
"""


FUNCTIONS = (
    *(RECORDED_MOMENT, BEGIN_MOMENT, BEGIN_RECORDING, RENEW_RECORDED_AT, NOTE_CHANGE, KEEP_SUPERSEDED),
    *(OLDEST_IN_FLIGHT, SETTLED_MOMENT, FOLD_CHANGES, SETTLE_CHANGE, SEAL_TABLE),
)


def upgrade() -> None:
    """Make `changes` and the functions that `keep_history_ddl` attaches to tables."""
    op.execute(
        "CREATE TABLE changes (id bigint GENERATED ALWAYS AS IDENTITY, table_name text NOT NULL,"
        " recorded_at timestamptz NOT NULL, committed_at timestamptz, CONSTRAINT pk_changes PRIMARY KEY (id))"
    )
    op.execute(
        "CREATE TABLE change_counts (table_name text NOT NULL, through bigint NOT NULL, changes bigint NOT NULL,"
        " CONSTRAINT pk_change_counts PRIMARY KEY (table_name))"
    )
    op.execute("CREATE UNIQUE INDEX ux_changes_table_name ON changes (table_name, recorded_at)")
    op.execute("CREATE INDEX ix_changes_in_flight ON changes USING gist (tstzrange(recorded_at, committed_at))")
    for function in FUNCTIONS:
        op.execute(function)
    op.execute("CREATE CONSTRAINT TRIGGER settle AFTER INSERT ON changes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_change()")
    op.execute("SELECT seal_table('changes'), seal_table('change_counts')")


def downgrade() -> None:
    """Remove them; tables that still keep history must have been dropped before."""
    op.execute("DROP TABLE changes, change_counts")
    for name in ("seal_table", "settle_change", "fold_changes", "settled_moment", "oldest_in_flight", "keep_superseded", "note_change"):
        op.execute(f"DROP FUNCTION {name}")
    for name in ("renew_recorded_at", "begin_recording", "begin_moment", "recorded_moment"):
        op.execute(f"DROP FUNCTION {name}")
