"""Hub: clients, people, revocations; sources and what they offer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "hub_0001_access"
down_revision = None
branch_labels = ("hub",)
depends_on = "core_0004_idempotency"

MOMENT = sa.DateTime(timezone=True)
NOTHING = sa.text("'{}'")


def upgrade() -> None:
    """Make the tables of access and of the catalogue."""
    op.create_table("clients", sa.Column("id", sa.Text, primary_key=True), *_rights(), *_secret())
    op.create_table("users", sa.Column("name", sa.Text, primary_key=True), *_rights(), *_password())
    op.create_table(
        "revoked_tokens",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_by", sa.Text, nullable=False),
    )
    op.create_index("ix_revoked_tokens_expires_at", "revoked_tokens", ["expires_at"])
    op.create_table(
        "revoked_subjects",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("not_before", MOMENT, nullable=False),
        sa.Column("revoked_by", sa.Text, nullable=False),
    )
    _create_catalogue()


def downgrade() -> None:
    """Forget who may ask and whom the hub asks."""
    for name in ("source_datasets", "sources", "revoked_subjects", "revoked_tokens", "users", "clients"):
        op.drop_table(name)


def _rights() -> list[sa.Column[Any]]:
    return [
        sa.Column("scopes", ARRAY(sa.Text), nullable=False, server_default=NOTHING),
        sa.Column("areas", ARRAY(sa.Text), nullable=False, server_default=NOTHING),
        sa.Column("grade", sa.Text, nullable=False, server_default="general"),
        sa.Column("personal", sa.Text, nullable=False, server_default="none"),
        sa.Column("purposes", ARRAY(sa.Text), nullable=False, server_default=NOTHING),
        sa.Column("audiences", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{*}'")),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("created_by", sa.Text, nullable=False),
    ]


def _secret() -> list[sa.Column[Any]]:
    return [sa.Column("secret_sha256", sa.LargeBinary, nullable=False), sa.Column("secret_set_by", sa.Text, nullable=False)]


def _password() -> list[sa.Column[Any]]:
    return [
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("locked_until", MOMENT),
    ]


def _create_catalogue() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("key", JSONB),
        sa.Column("version", sa.Text),
        sa.Column("last_seen", MOMENT),
        sa.Column("added_at", MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("added_by", sa.Text, nullable=False),
    )
    op.create_table(
        "source_datasets",
        sa.Column("source", sa.Text, sa.ForeignKey("sources.name", name="fk_source_datasets_source", ondelete="CASCADE"), primary_key=True),
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("collection", JSONB, nullable=False),
        sa.Column("schema", JSONB, nullable=False),
        sa.Column("schema_digest", sa.Text, nullable=False),
        sa.Column("previous_digest", sa.Text),
        sa.Column("changed_at", MOMENT, nullable=False),
    )
    op.create_index("ix_source_datasets_dataset", "source_datasets", ["dataset"])
