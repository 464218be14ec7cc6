"""The gateway: peers, agreements, messages, the log of exchanges, warnings of peers."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "intercity_0001_gateway"
down_revision = None
branch_labels = ("intercity",)
depends_on = "core_0004_idempotency"

HISTORY = {"peers": ("city",), "agreements": ("id",), "warnings": ("id",)}
APPEND_ONLY = ("log_entries", "log_nodes")
RECORDED = "recorded_at timestamptz NOT NULL DEFAULT recorded_moment(), recorded_by text NOT NULL"
KEY = 'text COLLATE "C" NOT NULL'
TABLES = (
    f"""CREATE TABLE peers (
        city {KEY} CONSTRAINT pk_peers PRIMARY KEY, url text NOT NULL, name_zh text, name_en text, state text NOT NULL, reason text, {RECORDED},
        CONSTRAINT ck_peers_state CHECK (state IN ('active', 'suspended', 'removed')))""",
    f"""CREATE TABLE peer_keys (
        fingerprint {KEY} CONSTRAINT pk_peer_keys PRIMARY KEY, city {KEY} CONSTRAINT fk_peer_keys_city REFERENCES peers (city),
        key jsonb NOT NULL, withdrawn text, {RECORDED})""",
    f"""CREATE TABLE agreements (
        id {KEY} CONSTRAINT pk_agreements PRIMARY KEY, peer {KEY} CONSTRAINT fk_agreements_peer REFERENCES peers (city), proposer {KEY},
        state text NOT NULL, document text NOT NULL, our_signature text, their_signature text, purposes text NOT NULL, gives text NOT NULL,
        takes text NOT NULL, legal_basis text NOT NULL, begins_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, supersedes text COLLATE "C",
        ended_at timestamptz, ended_by text, {RECORDED},
        CONSTRAINT ck_agreements_state CHECK (state IN ('proposed', 'received', 'in_force', 'declined', 'ended')))""",
    f"""CREATE TABLE messages (
        peer {KEY}, id {KEY}, digest bytea NOT NULL, expires_at timestamptz NOT NULL, status smallint NOT NULL, media_type text NOT NULL,
        signed text NOT NULL, answer bytea NOT NULL, CONSTRAINT pk_messages PRIMARY KEY (peer, id))""",
    f"""CREATE TABLE deliveries (
        id {KEY} CONSTRAINT pk_deliveries PRIMARY KEY, peer {KEY}, operation text NOT NULL, subject text NOT NULL, about jsonb NOT NULL, wire bytea,
        state text NOT NULL, attempts integer NOT NULL, next_at timestamptz NOT NULL, expires_at timestamptz NOT NULL, problem text,
        made_at timestamptz NOT NULL, answered_at timestamptz,
        CONSTRAINT ck_deliveries_state CHECK (state IN ('waiting', 'answered', 'refused', 'expired')))""",
    f"""CREATE TABLE log_entries (
        number bigint NOT NULL CONSTRAINT pk_log_entries PRIMARY KEY, entry bytea NOT NULL, at timestamptz NOT NULL, direction text NOT NULL,
        kind text NOT NULL, peer {KEY}, message text, agreement text, purpose text, operation text, digest text NOT NULL, problem text)""",
    """CREATE TABLE log_nodes (
        level smallint NOT NULL, position bigint NOT NULL, hash bytea NOT NULL, CONSTRAINT pk_log_nodes PRIMARY KEY (level, position))""",
    f"""CREATE TABLE peer_checkpoints (
        peer {KEY}, size bigint NOT NULL, root bytea NOT NULL, signed text NOT NULL, at timestamptz NOT NULL,
        CONSTRAINT pk_peer_checkpoints PRIMARY KEY (peer, size))""",
    f"""CREATE TABLE issuers (
        peer {KEY} CONSTRAINT fk_issuers_peer REFERENCES peers (city), sender {KEY}, events text[] NOT NULL, areas text[] NOT NULL, {RECORDED},
        CONSTRAINT pk_issuers PRIMARY KEY (peer, sender))""",
    f"""CREATE TABLE warnings (
        id {KEY} CONSTRAINT pk_warnings PRIMARY KEY, origin {KEY}, identifier text NOT NULL, sender text NOT NULL, sent_at timestamptz NOT NULL,
        status text NOT NULL, kind text NOT NULL, event text, level smallint, headline_zh text, headline_en text, area text COLLATE "C",
        expires_at timestamptz, agreement {KEY}, message text NOT NULL, received_at timestamptz NOT NULL, document bytea NOT NULL, {RECORDED})""",
)
INDEXES = (
    "CREATE INDEX ix_peer_keys_city ON peer_keys (city)",
    "CREATE INDEX ix_agreements_peer ON agreements (peer)",
    "CREATE INDEX ix_messages_expires_at ON messages (expires_at)",
    "CREATE UNIQUE INDEX ux_deliveries_peer ON deliveries (peer, operation, subject)",
    "CREATE INDEX ix_deliveries_next_at ON deliveries (next_at) WHERE state = 'waiting'",
    "CREATE INDEX ix_log_entries_message ON log_entries (message)",
    "CREATE INDEX ix_warnings_received_at ON warnings (received_at)",
)
APPEND_ONLY_FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""
REVOKE = """
DO $$
DECLARE
    sealed text;
    grantee regrole;
BEGIN
    FOREACH sealed IN ARRAY ARRAY['log_entries', 'log_nodes'] LOOP
        FOR grantee IN
            SELECT DISTINCT acl.grantee::regrole FROM pg_class, aclexplode(relacl) AS acl
            WHERE pg_class.oid = sealed::regclass AND acl.grantee NOT IN (relowner, 0)
        LOOP
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %I FROM %s', sealed, grantee);
        END LOOP;
    END LOOP;
END $$
"""


def upgrade() -> None:
    """Make the tables that `services/intercity/models.py` describes."""
    for statement in (*TABLES, *INDEXES, APPEND_ONLY_FUNCTION):
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(REVOKE)
    for table, key in HISTORY.items():
        for statement in keep_history_ddl(table, key):
            op.execute(statement)


def downgrade() -> None:
    """Remove them."""
    for table in HISTORY:
        for statement in drop_history_ddl(table):
            op.execute(statement)
    for table in ("warnings", "issuers", "peer_checkpoints", "log_nodes", "log_entries", "deliveries", "messages", "agreements", "peer_keys", "peers"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION refuse_change")
