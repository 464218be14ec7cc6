"""Core: dataset change rows and the functions that keep history."""

from __future__ import annotations

from alembic import op

revision = "core_0001_changes"
down_revision = None
branch_labels = ("core",)
depends_on = None

# Advisory locks mark moments in flight: a tag in the top 12 bits, microseconds since 1970 in the other 52 (until the year 2112).
WRITING, COMMITTING = 0x4C1, 0x4C2
MICROSECONDS = "(extract(epoch FROM {0}) * 1000000)::bigint"

RECORDED_MOMENT = f"""
CREATE FUNCTION recorded_moment() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    moment timestamptz;
    known text := current_setting('liandong.moment', true);
BEGIN
    IF known <> '' THEN
        RETURN known::timestamptz;
    END IF;
    LOOP -- the lock makes the moment this transaction's own among all that are in flight
        moment := clock_timestamp();
        EXIT WHEN pg_try_advisory_xact_lock(({WRITING}::bigint << 52) | {MICROSECONDS.format("moment")});
    END LOOP;
    PERFORM set_config('liandong.moment', moment::text, true);
    RETURN moment;
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
BEGIN
    INSERT INTO changes (table_name, recorded_at) VALUES (TG_TABLE_NAME, recorded_moment()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

KEEP_SUPERSEDED = """
CREATE FUNCTION keep_superseded() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- what this transaction itself wrote was never known to anyone
    EXECUTE format('INSERT INTO %I SELECT $1, o.* FROM superseded o WHERE o.recorded_at <> $1', TG_TABLE_NAME || '_history')
        USING recorded_moment();
    INSERT INTO changes (table_name, recorded_at) VALUES (TG_TABLE_NAME, recorded_moment()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""

SETTLE_CHANGE = f"""
CREATE FUNCTION settle_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    -- locked before the clock is read and until the commit is visible: settled_moment() relies on this order
    PERFORM pg_advisory_xact_lock_shared(({COMMITTING}::bigint << 52) | {MICROSECONDS.format("clock_timestamp()")});
    UPDATE changes SET committed_at = greatest(recorded_at, clock_timestamp()) WHERE id = NEW.id;
    RETURN NULL;
END $$
"""

SETTLED_MOMENT = f"""
CREATE FUNCTION settled_moment(asked timestamptz) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
DECLARE
    moment timestamptz := least(asked, clock_timestamp());
    committing bigint;
BEGIN
    SELECT min(((classid::bigint << 32) | objid::bigint) & ((1::bigint << 52) - 1)) INTO committing
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 20 = {COMMITTING}
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    RETURN least(moment, to_timestamp(0) + (committing - 1) * interval '1 microsecond');
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


def upgrade() -> None:
    """Make `changes` and the functions that `keep_history_ddl` attaches to tables."""
    op.execute(
        "CREATE TABLE changes (id bigint GENERATED ALWAYS AS IDENTITY, table_name text NOT NULL,"
        " recorded_at timestamptz NOT NULL, committed_at timestamptz, CONSTRAINT pk_changes PRIMARY KEY (id))"
    )
    op.execute("CREATE UNIQUE INDEX ux_changes_table_name ON changes (table_name, recorded_at)")
    op.execute("CREATE INDEX ix_changes_in_flight ON changes USING gist (tstzrange(recorded_at, committed_at))")
    for function in (RECORDED_MOMENT, RENEW_RECORDED_AT, NOTE_CHANGE, KEEP_SUPERSEDED, SETTLE_CHANGE, SETTLED_MOMENT, SEAL_TABLE):
        op.execute(function)
    op.execute("CREATE CONSTRAINT TRIGGER settle AFTER INSERT ON changes DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settle_change()")
    op.execute("SELECT seal_table('changes')")


def downgrade() -> None:
    """Remove them; tables that still keep history must have been dropped before."""
    op.execute("DROP TABLE changes")
    for function in ("recorded_moment()", "renew_recorded_at()", "note_change()", "keep_superseded()", "settle_change()"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP FUNCTION settled_moment(timestamptz)")
    op.execute("DROP FUNCTION seal_table(regclass)")
