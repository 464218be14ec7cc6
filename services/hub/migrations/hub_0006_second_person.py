"""Hub: the second person of a warning, and what the public is told, held to by the database whoever asks it."""

from __future__ import annotations

from alembic import op

revision = "hub_0006_second_person"
down_revision = "hub_0005_warnings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who had a part in a draft keeps it, approving changes nothing of it, and the public is shown issued bytes alone."""
    _second_person()
    _public()


def _second_person() -> None:
    op.execute("""
        CREATE FUNCTION guard_second_person() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            approving text[] := ARRAY['state', 'approver', 'approved_at', 'revision', 'recorded_at', 'recorded_by'];
        BEGIN
            IF NEW.author <> ALL (NEW.editors) THEN
                RAISE EXCEPTION 'the author of a warning has a part in it' USING ERRCODE = 'check_violation';
            END IF;
            IF TG_OP = 'INSERT' THEN
                RETURN NEW;
            END IF;
            IF NEW.author IS DISTINCT FROM OLD.author OR NOT NEW.editors @> OLD.editors THEN
                RAISE EXCEPTION 'who had a part in a warning keeps it' USING ERRCODE = 'check_violation';
            END IF;
            IF OLD.state = 'draft' AND NEW.state <> 'draft' AND (to_jsonb(NEW) - approving) IS DISTINCT FROM (to_jsonb(OLD) - approving) THEN
                RAISE EXCEPTION 'a warning is approved as it was drafted' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("CREATE TRIGGER guard_second_person BEFORE INSERT OR UPDATE ON warnings FOR EACH ROW EXECUTE FUNCTION guard_second_person()")


def _public() -> None:
    op.execute("""
        CREATE FUNCTION guard_public_warning() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM warnings WHERE id = NEW.warning AND state = 'issued' AND document = NEW.document) THEN
                RAISE EXCEPTION 'the public is shown what was issued, as it was issued' USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END $$
    """)
    op.execute("CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON public_warnings FOR EACH ROW EXECUTE FUNCTION guard_public_warning()")


def downgrade() -> None:
    """Back to the checks of the tables alone."""
    op.execute("DROP TRIGGER guard ON public_warnings")
    op.execute("DROP FUNCTION guard_public_warning()")
    op.execute("DROP TRIGGER guard_second_person ON warnings")
    op.execute("DROP FUNCTION guard_second_person()")
