"""Runs the revisions of one service on the connection that `ops/migrate.py` opened as the owner role."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import context
from sqlalchemy import Connection, MetaData, text

PARTITIONS = text("SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE pg_class.relkind IN ('r', 'p')")
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('liandong:migrations', 0))")


def run(connection: Connection, metadata: Sequence[MetaData]) -> None:
    """Migrate, or compare with the models; partitions are made at run time and belong to no revision."""
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        connection.execute(ONE_AT_A_TIME)
        partitions = set(connection.execute(PARTITIONS).scalars())
        context.configure(
            connection=connection,
            target_metadata=metadata,
            compare_server_default=True,
            include_name=lambda name, kind, _: kind != "table" or name not in partitions,
        )
        context.run_migrations()


if context.is_offline_mode() or "connection" not in context.config.attributes:
    raise SystemExit("Migrate with `python -m ops.migrate SERVICE`: it connects as the owner and grants the reader what the datasets share.")
run(context.config.attributes["connection"], context.config.attributes["metadata"])
