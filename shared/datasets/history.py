"""How a table keeps its past: superseded versions beside the current rows, and both as they were known at a moment.

`T` holds the current rows, `T_history` the superseded and deleted versions. Every row bears `recorded_at`, one moment for all
that a transaction writes; `changes` says when that transaction was committed. A question as of a moment sees exactly what was
committed by then (docs/adr/0004-history.md).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    FromClause,
    Identity,
    Index,
    Select,
    Table,
    Text,
    all_,
    and_,
    func,
    literal,
    not_,
    select,
    text,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from shared.database import core_metadata

changes = Table(
    "changes",
    core_metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("table_name", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("committed_at", DateTime(timezone=True)),
)
"""One row per writing transaction and table; `committed_at` is set at the very end of that transaction."""
change_counts = Table(
    "change_counts",
    core_metadata,
    Column("table_name", Text, primary_key=True),
    Column("through", BigInteger, nullable=False),
    Column("changes", BigInteger, nullable=False),
)
"""How many of them there were up to an id below which no more can appear, so that counting them stays quick for years."""
Index("ux_changes_table_name", changes.c.table_name, changes.c.recorded_at, unique=True)
Index(
    "ix_changes_in_flight",
    func.tstzrange(changes.c.recorded_at, changes.c.committed_at),
    postgresql_using="gist",
)


def recorded_columns() -> tuple[Column[datetime], Column[str]]:
    """The two columns of every shared table: when it was recorded, and by whom (subject of the token)."""
    return (
        Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=text("recorded_moment()")),
        Column("recorded_by", Text, nullable=False),
    )


def history_of(table: Table) -> Table:
    """Declare `<table>_history` beside a table: the same columns after `superseded_at`. Call it in models.py once the table is complete."""
    name = f"{table.name}_history"
    history = Table(
        name,
        table.metadata,
        Column("superseded_at", DateTime(timezone=True), nullable=False),
        *(Column(column.name, column.type, nullable=column.nullable) for column in table.columns),
    )
    Index(f"ix_{name}_superseded_at", history.c.superseded_at)
    key = [column.name for column in table.primary_key.columns]
    Index(f"ix_{name}_{key[0]}", *(history.c[column] for column in key))
    return history


def keep_history_ddl(table_name: str, key: tuple[str, ...] = ("id",)) -> list[str]:
    """SQL for a migration, after the table was made: its history table, indexes and triggers; `key` is its primary key.

    The app role may read the history and never write it: the triggers do, as the owner.
    """
    history = f"{table_name}_history"
    return [
        f"CREATE TABLE {history} (superseded_at timestamptz NOT NULL, LIKE {table_name})",
        f"CREATE INDEX ix_{history}_superseded_at ON {history} (superseded_at)",
        f"CREATE INDEX ix_{history}_{key[0]} ON {history} ({', '.join(key)})",
        *history_triggers_ddl(table_name),
    ]


def history_triggers_ddl(table_name: str) -> list[str]:
    """The part of `keep_history_ddl` for a history table that is already there, as one made from models is."""
    triggers = [
        f"CREATE TRIGGER begin BEFORE INSERT OR UPDATE OR DELETE ON {table_name} FOR EACH STATEMENT EXECUTE FUNCTION begin_recording()",
        f"CREATE TRIGGER renew BEFORE UPDATE ON {table_name} FOR EACH ROW EXECUTE FUNCTION renew_recorded_at()",
        f"CREATE TRIGGER note AFTER INSERT ON {table_name} FOR EACH STATEMENT EXECUTE FUNCTION note_change()",
    ]
    triggers += [
        f"CREATE TRIGGER keep_{event.lower()} AFTER {event} ON {table_name} REFERENCING OLD TABLE AS superseded "
        "FOR EACH STATEMENT EXECUTE FUNCTION keep_superseded()"
        for event in ("UPDATE", "DELETE")
    ]
    return [f"SELECT seal_table('{table_name}_history')", *triggers]


def drop_history_ddl(table_name: str) -> list[str]:
    """The reverse of `keep_history_ddl`, for a table that stays."""
    return [f"DROP TRIGGER {name} ON {table_name}" for name in ("begin", "renew", "note", "keep_update", "keep_delete")] + [f"DROP TABLE {table_name}_history"]


def keeps_history(table: Table) -> bool:
    """Whether every change of the table is noted and every version kept; of a view, every change of what it is made of."""
    made_of = table.info.get("made_of", (table,))
    return bool(made_of) and all(f"{made.name}_history" in made.metadata.tables for made in made_of)


def as_known(table: Table, known_at: datetime) -> FromClause:
    """The rows of a table that had been committed by `known_at` and were not superseded then; the table itself if it keeps no history.

    A view says by `info["as_known"]` how to make its rows of what was known.
    """
    if "as_known" in table.info:
        made: FromClause = table.info["as_known"](known_at)
        return made
    history = table.metadata.tables.get(f"{table.name}_history")
    if history is None:
        return table
    moment = literal(known_at, DateTime(timezone=True))
    in_flight = func.array(  # writers that had begun and not yet committed at that moment: a handful, read once
        select(changes.c.recorded_at)
        .where(changes.c.table_name == table.name, func.tstzrange(changes.c.recorded_at, changes.c.committed_at).op("@>")(moment))
        .scalar_subquery()
    )

    def known(recorded_at: ColumnElement[Any]) -> ColumnElement[bool]:
        return and_(recorded_at <= moment, recorded_at != all_(in_flight))

    current = select(*table.columns).where(known(table.c.recorded_at))
    past = select(*(history.c[column.name] for column in table.columns)).where(known(history.c.recorded_at), not_(known(history.c.superseded_at)))
    return union_all(current, past).subquery(table.name)


def version_of(*tables: Table) -> Select[int]:
    """The version of what these tables hold: how many transactions have changed them. It grows with every committed change.

    A database view names the tables it is made of in `table.info["made_of"]`.
    """
    names = sorted(noted_names(*tables))
    counted = versions_by_table().subquery()
    return select(func.coalesce(func.sum(counted.c.version), 0).cast(BigInteger)).where(counted.c.table_name.in_(names))


def noted_names(*tables: Table) -> set[str]:
    """The names under which the changes of these tables are noted."""
    return {made.name for table in tables for made in table.info.get("made_of", (table,))}


def versions_by_table() -> Select[str, int]:
    """The version of every table that was ever changed: `table_name`, `version`."""
    through = select(func.coalesce(func.max(change_counts.c.through), 0)).scalar_subquery()
    recent = select(changes.c.table_name, func.count().label("changes")).where(changes.c.id > through).group_by(changes.c.table_name)
    parts = union_all(select(change_counts.c.table_name, change_counts.c.changes), recent).subquery()
    return select(parts.c.table_name, func.sum(parts.c.changes).cast(BigInteger).label("version")).group_by(parts.c.table_name)


async def settled(connection: AsyncConnection, asked: datetime) -> datetime:
    """The latest moment up to `asked` for which the answer is final.

    Ends the connection's transaction, because the snapshot that answers must be taken after this moment was fixed.
    A moment in the future becomes now; one at which a commit is under way becomes the moment before that commit.
    """
    moment: datetime = (await connection.execute(select(func.settled_moment(literal(asked, DateTime(timezone=True)))))).scalar_one()
    await connection.rollback()
    return moment
