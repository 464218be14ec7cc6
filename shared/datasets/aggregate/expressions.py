"""The SQL expressions of aggregates: periods of time, states of measures, what sketches are made of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Date, DateTime, Double, Integer, case, cast, func, literal, literal_column
from sqlalchemy import Interval as SqlInterval
from sqlalchemy import Text as SqlText

from shared.datasets.aggregate.columns import Measure
from shared.datasets.aggregate.zones import BINS, regular
from shared.datasets.declaration import Field
from shared.datasets.view import View

_INSTANT = DateTime(timezone=True)
_TYPES: dict[str, Any] = {"string": SqlText(), "integer": BigInteger(), "number": Double(), "datetime": _INSTANT, "date": Date()}


def plain(field: Field, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A field's value in the type in which it travels."""
    return cast(column, _TYPES[field.type]) if field.type in _TYPES else column


def cut(column: ColumnElement[Any], field: Field, unit: str, tz: str, since: datetime | None = None) -> ColumnElement[Any]:
    """The instant at which the minute, hour, day, ISO week, month or year of a time begins in a zone. A date begins at its midnight there.

    `since` says that no earlier time occurs, as is known of most questions: the zone's rules need not be looked at then.
    """
    if field.type == "date":
        return func.timezone(tz, func.date_trunc(unit, cast(column, DateTime())))
    by_rules = func.date_trunc(unit, column, tz)
    found = regular(tz, unit)
    if found is None:
        return by_rules
    if unit in BINS:
        by_arithmetic = func.date_bin(literal_column(f"interval '1 {unit}'"), column, literal(found.origin, _INSTANT))
    else:
        offset = literal(found.offset, SqlInterval)
        by_arithmetic = func.timezone(offset, func.date_trunc(unit, func.timezone(offset, column)))
    if since is not None and since >= found.since:
        return by_arithmetic
    return case((column >= literal(found.since, _INSTANT), by_arithmetic), else_=by_rules)


def scalar_states(measure: Measure, view: View) -> dict[str, ColumnElement[Any]]:
    """The states of a measure that are single values, by column name. Sums of integers are exact."""
    if measure.field is None:
        return {f"{measure.name}.count": func.count()}
    field, column = view.named(measure.field)
    value = column if isinstance(column.type, Integer) else plain(field, column)
    count = func.count() if never_null(column, view) else func.count(value)
    states: dict[str, ColumnElement[Any]]
    match measure.fn:
        case "sum" | "avg":
            states = {"count": count, "sum": cast(func.sum(value), _TYPES[field.type])}
        case "min" | "max":
            comparable = value.collate("C") if field.type == "string" else value
            states = {measure.fn: func.min(comparable) if measure.fn == "min" else func.max(comparable)}
        case "stddev":
            # PostgreSQL's var_pop is exact for integers and by Youngs and Cramer for doubles: no sums of squares
            states = {"count": count, "mean": cast(func.avg(value), Double), "m2": cast(func.var_pop(value) * count, Double)}
        case "distinct":
            states = {}
        case _:
            states = {"count": count}
    return {f"{measure.name}.{kind}": state for kind, state in states.items()}


def never_null(column: ColumnElement[Any], view: View) -> bool:
    """Whether the column has a value in every row: then counting rows counts it too."""
    return isinstance(column, Column) and not column.nullable and column.table is view.source


def gathered(measure: Measure, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """What a sketch is made of, for all values of a group one after another: the doubles of a quantile, the hashes of canonical texts of a distinct count."""
    sent = func.float8send(cast(value, Double)) if measure.fn == "quantile" else func.int8send(_hashed(value))
    return func.string_agg(sent, literal_column("''::bytea"))


def _hashed(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.hashtextextended(cast(value, SqlText), literal_column("0"))
