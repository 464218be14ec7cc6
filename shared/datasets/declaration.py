"""The declaration of a shared dataset, from which catalogue, records, aggregates, history and rights follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from shared.vocabulary import DataGrade, Personal, Sharing, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, FromClause, Table

    from shared.caller import Caller

MOST_TABLES = 8
"""Most tables of a personal dataset."""
FieldType = Literal["string", "integer", "number", "boolean", "datetime", "date"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a dataset as others see it."""

    name: str
    type: FieldType
    title: Text
    column: str | None = None
    """Column of the dataset's table, or `join.column` of a joined table; the field's name if not given."""
    unit: str | None = None
    """UCUM code: `s`, `ug/m3`, `1`."""
    definition: str | None = None
    """URI or standard and clause that define the field."""
    values: tuple[str, ...] = ()
    """All permitted values, if the field is a code."""
    minimum: float | None = None
    maximum: float | None = None
    required: bool = False
    grade: DataGrade | None = None
    personal: Personal | None = None
    sharing: Sharing | None = None
    """Labels where they differ from the dataset's; a field's label is never below the dataset's grade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Geometry as two double columns, WGS 84."""

    lon: str = "lon"
    lat: str = "lat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Geometry as GeoJSON in a JSONB column, beside a `box` column for the index."""

    geojson: str = "geometry"
    box: str = "extent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A table that lends columns to the dataset's rows: `name.column` in `Field.column`."""

    name: str
    table: Table
    on: tuple[str, str]
    """Column of the dataset's table, column of the joined table (unique there)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The only form in which personal data are answered: counts of persons in fixed tables, perturbed by cell key (docs/adr/0018)."""

    tables: tuple[tuple[str, ...], ...]
    """The dimensions of each table: fields, `area:<level>`, `time:day` or coarser; `()` for the count of all. Few: each is one more look at
    the same persons."""
    person: str | None = None
    """Column of the table that tells persons apart, if one person may have several rows."""

    def __post_init__(self) -> None:
        dimensions = {of for table in self.tables for of in table}
        if len(self.tables) > MOST_TABLES or not dimensions.isdisjoint(("time:minute", "time:hour", "area:community")):
            raise ValueError(f"at most {MOST_TABLES} tables, none of hours, minutes or communities")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollUp:
    """A table that keeps, by series and hour (UTC), what aggregates of a dataset's rows are made of.

    It has the columns `count`, `sum`, `m2` (sum of squared deviations from the mean), `min` and `max` of the field `value`, written in
    the transaction of the rows, and the columns of the dataset's table by which it joins others. Neither `value` nor `covers` is ever null.
    """

    name: str
    table: Table
    value: str
    time: str = "hour"
    """Column with the beginning of the hour."""
    covers: tuple[str, int] | None = None
    """An integer field and its greatest value among the rows that it holds; the others are read from the rows themselves."""


@dataclass(frozen=True, slots=True)
class OwnRights:
    """Who may read a dataset that is not for all readers of its service, and which of its rows. It is not shared through other hubs."""

    reads: Callable[[Caller], bool]
    rows: Callable[[Caller, FromClause], ColumnElement[bool] | None]
    """The condition under which a row exists for the caller; None if all do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One thing that a service shares. Frozen: a change of meaning is a new dataset."""

    id: str
    title: Text
    description: Text
    owner: Text
    table: Table
    key: str | tuple[str, ...] = "id"
    """Column whose text is the feature's id, or several whose texts joined by `~` are; together unique, never reused."""
    fields: tuple[Field, ...]
    joins: tuple[Join, ...] = ()
    time: str | None = None
    """Name of the field that places a row in time."""
    area: str | None = "area"
    """Name of the field with the area code; rows outside the caller's areas do not exist for the caller."""
    geometry: Point | Shape | None = None
    crs: Literal["wgs84"] = "wgs84"
    licence: str = "LicenseRef-liandong-agreement"
    freshness: timedelta | None = None
    """Promise: how old the newest row is at most."""
    irregular: bool = False
    """Whether rows come only when something happens: then the promise is how soon a row follows what it tells of."""
    retention: timedelta | None = None
    standards: tuple[str, ...] = ()
    """What the rows conform to: URIs, or the numbers of standards (`GB/T 2260`)."""
    derived_from: tuple[str, ...] = ()
    """Datasets that the rows are made from; their labels are never above this one's."""
    grade: DataGrade = DataGrade.GENERAL
    personal: Personal = Personal.NONE
    sharing: Sharing = Sharing.CONDITIONAL
    legal_basis: str = ""
    authority: str | None = None
    """Body that answers for the rows whatever their area (ports, railways)."""
    rights: OwnRights | None = None
    """Rights of its own, in the place of those of the service's readers."""
    smallest_group: int = 0
    """Groups with fewer rows are suppressed in finished aggregates; 0 for data that concern no person."""
    cells: Cells | None = None
    """How personal data are answered; then their rows are shown to readers of their own service alone, never through a hub."""
    rollup: RollUp | None = None
    """From which aggregates are answered where it gives the same answer as the rows."""

    def __post_init__(self) -> None:
        if self.grade is DataGrade.CORE or any(field.grade is DataGrade.CORE for field in self.fields):
            raise ValueError(f"{self.id}: core data may not be shared (Data Security Law, article 21)")
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.id}: a field is declared twice")
        for name in (self.time, self.area):
            if name is not None and name not in names:
                raise ValueError(f"{self.id}: {name!r} is not one of its fields")
        for field in self.fields:
            if (field.column or field.name) in self.keys and any(self._above(field, other) for other in self.fields):
                raise ValueError(f"{self.id}: {field.name!r} is part of every row's id, so whoever sees any field must be allowed to see it")

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns, in the order of the table's index."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the rows are made from."""
        return (self.table, *(join.table for join in self.joins))

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)

    def _above(self, field: Field, other: Field) -> bool:
        """Whether a field bears a higher label than another."""
        order = list(Sharing)
        return (
            self.grade_of(field).rank > self.grade_of(other).rank
            or self.personal_of(field).rank > self.personal_of(other).rank
            or order.index(field.sharing or self.sharing) > order.index(other.sharing or self.sharing)
        )

    def grade_of(self, field: Field) -> DataGrade:
        return max(self.grade, field.grade or self.grade, key=lambda grade: grade.rank)

    def personal_of(self, field: Field) -> Personal:
        return field.personal if field.personal is not None else self.personal
