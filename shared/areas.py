"""Areas: the table that every service has, how codes roll up, and which point lies where."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ColumnElement, Date, FromClause, Index, Select, Table, Text, and_, case, func, literal, null, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import UserDefinedType

from shared.area_codes import GB_NATION, LEVELS
from shared.database import core_metadata
from shared.datasets.history import changes, history_of, recorded_columns
from shared.vocabulary import AreaLevel

KINDS = ("administrative", "functional", "neighbourhood")
"""`functional`: a development zone or the like, which has a code (430371) but no territory of its own."""


class Box(UserDefinedType[Any]):
    """PostgreSQL's `box`: the extent of a shape, for a GiST index; bound and read as `asyncpg.Box`."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "BOX"


ischema_names.setdefault("box", Box)  # so that the migrations' check knows the column's type

areas = Table(
    "areas",
    core_metadata,
    Column("code", Text(collation="C"), primary_key=True),
    Column("level", Text, nullable=False),
    Column("parent", Text(collation="C")),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("kind", Text, nullable=False),
    Column("valid_from", Date),
    Column("valid_to", Date),
    Column("geometry", JSONB(none_as_null=True)),
    Column("extent", Box),
    *(Column(level.value, Text(collation="C")) for level in LEVELS),
    *recorded_columns(),
    CheckConstraint("name_zh IS NOT NULL OR name_en IS NOT NULL", name="named"),
    CheckConstraint("valid_from < valid_to", name="validity"),
)
"""`valid_to` is the first day on which the code no longer holds. `nation` to `community` bear the codes of the ancestors and the area's own."""
Index("ix_areas_parent", areas.c.parent)
Index("ix_areas_extent", areas.c.extent, postgresql_using="gist")
history_of(areas)

STATED = ("level", "parent", "name_zh", "name_en", "kind", "valid_from", "valid_to", "geometry")
"""Columns that the master is told; the others follow from them."""


def rolled_up(level: AreaLevel, code: ColumnElement[str], joined: FromClause = areas) -> ColumnElement[str]:
    """The area at `level` that holds `code`, in a query that left-joins `joined` (areas) on `code`.

    The table decides; a code that it does not know goes by GB prefix. NULL where the code is coarser than the level.
    """
    prefix: ColumnElement[str] = func.left(code, level.digits) if level.digits else literal(GB_NATION)
    by_prefix = and_(code.regexp_match("^[0-9]+$"), func.length(code) >= level.digits)
    return case((joined.c.code.is_not(None), joined.c[level.value]), (by_prefix, prefix), else_=null())


_HEXADECIMAL = re.compile("[0-9a-f]{1,14}")
_LAST_CHANGE = func.coalesce(func.extract("epoch", func.max(changes.c.recorded_at)), 0) * 1_000_000


def version_query() -> Select[str]:
    """The version of this database's area table, a text that never comes back: how often it changed, and when last (microseconds, hexadecimal)."""
    return select(func.concat(func.count(), "-", func.to_hex(_LAST_CHANGE.cast(BigInteger)))).where(changes.c.table_name == areas.name)


def last_change_of(version: str) -> datetime | None:
    """When the table last changed before it had this version; None if the text is no version."""
    _, _, microseconds = version.partition("-")
    if not _HEXADECIMAL.fullmatch(microseconds):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(microseconds, 16))
