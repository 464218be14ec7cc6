"""Hub: warnings, and apart from them what the public may see."""

from __future__ import annotations

from alembic import op

from shared.datasets.history import drop_history_ddl, keep_history_ddl

revision = "hub_0005_warnings"
down_revision = "hub_0004_incidents"
branch_labels = None
depends_on = None

KEY = 'text COLLATE "C"'


def upgrade() -> None:
    """Make the tables that `services/hub/warnings/models.py` describes; what was approved cannot be changed, whoever asks."""
    _warnings()
    for statement in keep_history_ddl("warnings"):
        op.execute(statement)
    _guard()
    _public()


def _warnings() -> None:
    said = ", ".join(
        f"{name}_{language} text{'' if name == 'instruction' else ' NOT NULL'}"
        for name in ("event", "headline", "description", "instruction", "area_name")
        for language in ("zh", "en")
    )
    op.execute(f"""
        CREATE TABLE warnings (
            id {KEY} NOT NULL CONSTRAINT pk_warnings PRIMARY KEY,
            number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            incident {KEY} CONSTRAINT fk_warnings_incident REFERENCES incidents (id),
            previous {KEY} CONSTRAINT fk_warnings_previous REFERENCES warnings (id),
            status text NOT NULL,
            kind text NOT NULL,
            scope text NOT NULL,
            restriction text,
            level smallint NOT NULL,
            hazard text NOT NULL,
            categories text[] NOT NULL,
            response_types text[] NOT NULL,
            urgency text NOT NULL,
            certainty text NOT NULL,
            {said},
            area {KEY} NOT NULL,
            areas text[] NOT NULL,
            geometry jsonb,
            extent box,
            onset timestamptz,
            expires timestamptz NOT NULL,
            recipients text[] NOT NULL,
            state text NOT NULL DEFAULT 'draft',
            author text NOT NULL,
            editors text[] NOT NULL,
            drafted_at timestamptz NOT NULL,
            approver text,
            approved_at timestamptz,
            authority text,
            legal_basis text,
            issued_by text,
            identifier text CONSTRAINT uq_warnings_identifier UNIQUE,
            sender text,
            sent timestamptz,
            "references" jsonb,
            document bytea,
            followed_by {KEY} CONSTRAINT fk_warnings_followed_by REFERENCES warnings (id),
            revision integer NOT NULL DEFAULT 1,
            recorded_at timestamptz NOT NULL DEFAULT recorded_moment(),
            recorded_by text NOT NULL,
            CONSTRAINT uq_warnings_id UNIQUE (id, status, scope),
            CONSTRAINT ck_warnings_kinds CHECK (
                status IN ('Actual', 'Exercise', 'Test') AND scope IN ('Public', 'Restricted') AND kind IN ('Alert', 'Update', 'Cancel')
            ),
            CONSTRAINT ck_warnings_level CHECK (level BETWEEN 1 AND 4),
            CONSTRAINT ck_warnings_second_person CHECK (approver <> ALL (editors)),
            CONSTRAINT ck_warnings_approved CHECK (state IN ('draft', 'withdrawn') OR (approver IS NOT NULL AND approved_at IS NOT NULL)),
            CONSTRAINT ck_warnings_issued CHECK (
                (state = 'issued') = (document IS NOT NULL)
                AND (state <> 'issued' OR num_nulls(authority, legal_basis, issued_by, identifier, sender, sent) = 0)
            ),
            CONSTRAINT ck_warnings_previous CHECK ((kind = 'Alert') = (previous IS NULL))
        )
    """)
    op.execute("CREATE INDEX ix_warnings_incident ON warnings (incident)")
    op.execute("CREATE UNIQUE INDEX ux_warnings_previous ON warnings (previous) WHERE state = 'issued'")
    op.execute("CREATE INDEX ix_warnings_area ON warnings (area)")
    op.execute("CREATE INDEX ix_warnings_extent ON warnings USING gist (extent)")


def _guard() -> None:
    """Once approved, a warning says what was approved; once issued, only what follows it may be noted."""
    op.execute("""
        CREATE FUNCTION guard_warning() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            free text[] := ARRAY['revision', 'recorded_at', 'recorded_by', 'followed_by'];
            issuing text[] := ARRAY['state', 'authority', 'legal_basis', 'issued_by', 'identifier', 'sender', 'sent', 'references', 'document'];
        BEGIN
            IF TG_OP = 'INSERT' THEN
                IF NEW.state <> 'draft' OR NEW.approver IS NOT NULL THEN
                    RAISE EXCEPTION 'a warning begins as a draft' USING ERRCODE = 'check_violation';
                END IF;
                RETURN NEW;
            END IF;
            IF OLD.state = 'approved' THEN
                free := free || issuing;
            END IF;
            IF OLD.state <> 'draft' AND (to_jsonb(NEW) - free) IS DISTINCT FROM (to_jsonb(OLD) - free) THEN
                RAISE EXCEPTION 'an approved warning cannot be changed' USING ERRCODE = 'check_violation';
            END IF;
            IF (NEW.state = 'issued' AND OLD.state NOT IN ('approved', 'issued')) OR (NEW.state = 'draft' AND OLD.state <> 'draft') THEN
                RAISE EXCEPTION 'a warning is drafted, approved, issued, in this order' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON warnings FOR EACH ROW EXECUTE FUNCTION guard_warning()")


def _public() -> None:
    op.execute(f"""
        CREATE TABLE public_warnings (
            warning {KEY} NOT NULL CONSTRAINT pk_public_warnings PRIMARY KEY,
            status text NOT NULL,
            scope text NOT NULL,
            level smallint NOT NULL,
            hazard text NOT NULL,
            kind text NOT NULL,
            headline_zh text NOT NULL,
            headline_en text NOT NULL,
            authority text NOT NULL,
            sent timestamptz NOT NULL,
            expires timestamptz NOT NULL,
            followed boolean NOT NULL DEFAULT false,
            document bytea NOT NULL,
            CONSTRAINT fk_public_warnings_warning FOREIGN KEY (warning, status, scope) REFERENCES warnings (id, status, scope),
            CONSTRAINT ck_public_warnings_actual_and_public CHECK (status = 'Actual' AND scope = 'Public')
        )
    """)
    op.execute("CREATE INDEX ix_public_warnings_sent ON public_warnings (sent)")


def downgrade() -> None:
    """Drop warnings with their history."""
    op.drop_table("public_warnings")
    op.execute("DROP TRIGGER guard ON warnings")
    op.execute("DROP FUNCTION guard_warning()")
    for statement in drop_history_ddl("warnings"):
        op.execute(statement)
    op.drop_table("warnings")
