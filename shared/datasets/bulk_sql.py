"""All rows of a records query as one SQL text: what `COPY` takes, which knows no bound parameters."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Double,
    Enum,
    Integer,
    Numeric,
    Select,
    SmallInteger,
    String,
    cast,
    select,
)
from sqlalchemy import Text as Words
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect

from shared.datasets.declaration import FieldType, Point
from shared.datasets.formats import ARROW_TYPES
from shared.datasets.keyset import sorts_of
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View

_PLAIN: dict[FieldType, tuple[type[Any], ...]] = {
    "integer": (SmallInteger, Integer, BigInteger),
    "number": (SmallInteger, Integer, BigInteger, Double),
    "datetime": (DateTime,),
    "date": (Date,),
}
"""Column types that arrive as the field's own type, or widen to it without loss."""
_CAST: Mapping[FieldType, Any] = {"integer": BigInteger, "number": Double, "string": Words}


class _Literals(PGCompiler):
    """Writes every bound value into the text, so that no setting of the server and no content of the value can change its meaning."""

    def render_literal_value(self, value: Any, type_: Any) -> str:  # noqa: ARG002  # the value's own type says it all
        return literal(value)


class _Dialect(PGDialect):
    statement_compiler = _Literals
    supports_statement_cache = False

    def __init__(self) -> None:
        super().__init__(paramstyle="named")  # type: ignore[no-untyped-call]  # as it ships; so named, it doubles no percent signs


def as_text(statement: Select[Any]) -> str:
    """The statement with every value written out. `TypeError` for a value whose writing is not known to be safe."""
    return str(statement.compile(dialect=_Dialect(), compile_kwargs={"literal_binds": True}))


def literal(value: Any) -> str:
    """A value as PostgreSQL reads it back, whatever `standard_conforming_strings` says; with its type, as a bound one has it."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"({value})"
        case str() if "\x00" not in value:
            return f"(CAST({_quoted(value)} AS text))"
    for kind, (type_name, text) in _WRITTEN.items():
        if isinstance(value, kind) and (written := text(value)) is not None:
            return f"(CAST('{written}' AS {type_name}))"
    raise TypeError(f"no safe way to write {type(value).__name__} into a statement")


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_WRITTEN: dict[type[Any], tuple[str, Callable[[Any], str | None]]] = {
    float: ("double precision", _number),
    Decimal: ("numeric", lambda value: str(value) if value.is_finite() else None),
    datetime: ("timestamptz", lambda value: value.astimezone(UTC).isoformat() if value.tzinfo is not None else None),
    date: ("date", lambda value: value.isoformat() if not isinstance(value, datetime) else None),
    uuid.UUID: ("uuid", str),
}


def _quoted(text: str) -> str:
    """As libpq's `PQescapeLiteral` has it."""
    doubled = text.replace("'", "''")
    return " E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"


def rows_statement(view: View, query: RecordQuery, columns: Mapping[str, ColumnElement[Any]]) -> Select[Any]:
    """Every row that meets the query, in the asked order if there is one: with ties broken by the key, or else as the table has them."""
    statement = select(*(column.label(name) for name, column in columns.items())).select_from(view.source).where(*query.conditions(view))
    if order := query.sorting(view):
        statement = statement.order_by(*(sort.order() for sort in sorts_of(view, order)))
    return statement.limit(query.most) if query.most is not None else statement


def arriving(column: ColumnElement[Any], kind: FieldType) -> ColumnElement[Any]:
    """The column in a form that arrives as Arrow's type for the field, or widens to it."""
    if isinstance(column.type, String) and not isinstance(column.type, Enum):
        return column
    if isinstance(column.type, _PLAIN.get(kind, ())) and not (isinstance(column.type, Numeric) and not isinstance(column.type, Double)):
        return column
    return cast(column, _CAST[kind]) if kind in _CAST else column


def key_column(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A part of the key: as it is where its text can be made from it exactly, else as text."""
    kept = isinstance(column.type, (SmallInteger, Integer, BigInteger, DateTime, Date))
    return column if kept or (isinstance(column.type, String) and not isinstance(column.type, Enum)) else cast(column, Words)


def place_columns(view: View) -> Sequence[tuple[str, ColumnElement[Any]]]:
    """Where a row lies: `lon`, `lat`, or `geometry` as GeoJSON text; nothing if there is no geometry or it is not visible."""
    if view.geometry is None:
        return ()
    first, second = view.geometry
    if isinstance(view.dataset.geometry, Point):
        return (("lon", arriving(first, "number")), ("lat", arriving(second, "number")))
    return (("geometry", cast(first, Words)),)


def place_types(view: View) -> dict[str, pa.DataType]:
    """Arrow's types of `place_columns`."""
    return {name: ARROW_TYPES["string" if name == "geometry" else "number"] for name, _ in place_columns(view)}
