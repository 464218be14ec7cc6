"""What of a dataset exists for a caller: visible fields, visible rows, as of now or of a past moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Enum, FromClause, String, Table, and_, cast, false, func, or_, true
from sqlalchemy import Text as Words

from shared.caller import Caller
from shared.datasets.declaration import Dataset, Field, Point, Shape
from shared.datasets.history import as_known
from shared.datasets.labels import geometry_labels, visible_fields
from shared.errors import NotFound, Problem
from shared.vocabulary import Text

EVERYWHERE = ("*",)
Columns = tuple[ColumnElement[Any], ColumnElement[Any]]


class UnknownField(Problem):
    slug, status = "unknown-field", 400
    title = Text("未知字段", "Unknown field")
    remedy = Text("查看 /collections/{id}/schema 中的字段。", "See the fields in /collections/{id}/schema.")


@dataclass(frozen=True, slots=True)
class View:
    """A dataset cut to what one caller may see. What is not in it does not exist for this caller.

    `source` yields the rows, `columns` the visible fields, `rows` says which rows exist; all three must be used together.
    """

    dataset: Dataset
    fields: Mapping[str, Field]
    source: FromClause
    columns: Mapping[str, ColumnElement[Any]]
    rows: ColumnElement[bool]
    keys: tuple[ColumnElement[Any], ...]
    """The columns whose texts, joined by `~`, are the feature's id (`Dataset.keys`)."""
    geometry: Columns | None
    """Columns lon and lat (`Point`), or GeoJSON and box (`Shape`); None if there is none or it is not visible."""
    known_at: datetime | None
    whole: bool
    """Whether rights take nothing away, neither fields nor rows."""

    @property
    def time(self) -> Field | None:
        """The field that places a row in time, if it is visible."""
        return self.fields.get(self.dataset.time) if self.dataset.time else None

    @property
    def area(self) -> Field | None:
        """The field with the area code, if it is visible."""
        return self.fields.get(self.dataset.area) if self.dataset.area else None

    def named(self, name: str, *, pointer: str | None = None) -> tuple[Field, ColumnElement[Any]]:
        """A visible field and its column; `UnknownField` for every other name, hidden or not there at all."""
        if name in self.fields:
            return self.fields[name], self.columns[name]
        close = get_close_matches(name, self.fields, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(sorted(self.fields))}."
        raise UnknownField(f"{self.dataset.id} has no field {name[:60]!r}.{hint}", pointer=pointer)


def view(dataset: Dataset, caller: Caller, known_at: datetime | None = None, *, city_areas: Sequence[str] = EVERYWHERE) -> View:
    """The dataset as it exists for this caller, or `NotFound`.

    `known_at` must have been settled (`shared.datasets.history.settled`), or the answer may change later.
    `city_areas` are the prefixes that this city's services answer for (`Settings.areas`).
    """
    fields = visible_fields(dataset, caller)
    if not fields:
        raise unknown_dataset(dataset.id)
    table = dataset.table if known_at is None else as_known(dataset.table, known_at)
    froms: dict[str, FromClause] = {"": table}
    source: FromClause = table
    for join in dataset.joins:
        joined = _joined(join.table, join.name) if known_at is None else as_known(join.table, known_at).alias(join.name)
        froms[join.name] = joined
        source = source.outerjoin(joined, table.c[join.on[0]] == joined.c[join.on[1]])
    columns = {name: _column(field, froms) for name, field in fields.items()}
    area = dataset.field(dataset.area) if dataset.area else None
    rows = and_(*(_within(_column(area, froms) if area else None, prefixes) for prefixes in (caller.areas, tuple(city_areas))))
    own = dataset.rights.rows(caller, table) if dataset.rights else None
    rows = rows if own is None else and_(rows, own)
    keys = tuple(table.c[name] for name in dataset.keys)
    geometry = _geometry(dataset, caller, froms)
    whole = own is None and caller.everywhere and "*" in city_areas and len(fields) == len(dataset.fields) and (geometry is None) == (dataset.geometry is None)
    return View(dataset, fields, source, columns, rows, keys, geometry, known_at, whole)


@lru_cache(maxsize=256)
def _joined(table: Table, name: str) -> FromClause:
    """A joined table under its name, with its columns: made once, for that takes as long as the rest of a view."""
    return table.alias(name)


def unknown_dataset(name: str) -> NotFound:
    """The answer for a dataset that is not there, or not for this caller."""
    return NotFound(f"There is no collection {name[:80]!r} here.", pointer="/collection")


def _column(field: Field, froms: Mapping[str, FromClause]) -> ColumnElement[Any]:
    column = _named(field.column or field.name, froms)
    plain = isinstance(column.type, String) and not isinstance(column.type, Enum)
    return column if field.type != "string" or plain else cast(column, Words)


def _named(column: str, froms: Mapping[str, FromClause]) -> ColumnElement[Any]:
    join, _, name = column.rpartition(".")
    return froms[join].c[name]


def _within(area: ColumnElement[Any] | None, prefixes: Sequence[str]) -> ColumnElement[bool]:
    """Rows whose area code begins with one of the prefixes; rows of a dataset without areas exist for whoever has any area."""
    if "*" in prefixes:
        return true()
    if area is None or not prefixes:
        return true() if prefixes else false()
    lengths = sorted({len(prefix) for prefix in prefixes})
    return or_(*(func.left(area, length).in_([prefix for prefix in prefixes if len(prefix) == length]) for length in lengths))


def _geometry(dataset: Dataset, caller: Caller, froms: Mapping[str, FromClause]) -> Columns | None:
    match dataset.geometry:
        case Point(lon=first, lat=second) | Shape(geojson=first, box=second) if geometry_labels(dataset).shown_to(dataset, caller):
            return _named(first, froms), _named(second, froms)
    return None
