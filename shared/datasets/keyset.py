"""The order of rows and the condition "after this place": every row once, nulls last, ties broken by the key."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ColumnElement, String, and_, func, literal, or_, tuple_

from shared.datasets.view import View
from shared.errors import InvalidRequest

TEXT_LENGTH = 200
"""Texts are ordered by their first characters, so that a page token stays short."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One level of the order."""

    expression: ColumnElement[Any]
    descending: bool
    nullable: bool

    def order(self) -> ColumnElement[Any]:
        """Without NULLS LAST where there are no nulls, because an index knows it only the other way round."""
        directed = self.expression.desc() if self.descending else self.expression.asc()
        return directed.nulls_last() if self.nullable else directed

    def value(self, raw: Any) -> ColumnElement[Any]:
        return literal(raw, self.expression.type)


def sorts_of(view: View, order: Sequence[tuple[str, bool]]) -> list[Sort]:
    """The asked order, completed by the key. Texts by code point (`COLLATE "C"`), so that all sources agree."""
    sorts = [_sort(view, name, descending) for name, descending in order]
    return sorts + [Sort(column, False, False) for column in view.keys]


def _sort(view: View, name: str, descending: bool) -> Sort:
    column = view.columns[name]
    nullable = not (isinstance(column, Column) and column.table is view.dataset.table and not column.nullable)
    if isinstance(column.type, String):
        return Sort(func.left(column, TEXT_LENGTH, type_=column.type).collate("C"), descending, nullable)
    return Sort(column, descending, nullable)


def after(sorts: Sequence[Sort], place: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after the row whose values are `place`."""
    values = values_of(place)
    if len(values) != len(sorts):
        raise InvalidRequest("This place is of another order of rows.", pointer="/token")
    if all(not sort.nullable and not sort.descending for sort in sorts):
        return tuple_(*(sort.expression for sort in sorts)) > tuple_(*(sort.value(value) for sort, value in zip(sorts, values, strict=True)))
    *earlier, (sort, value) = zip(sorts, values, strict=True)
    condition = _beyond(sort, value)
    for sort, value in reversed(earlier):
        same = sort.expression.is_(None) if value is None else sort.expression == sort.value(value)
        condition = or_(_beyond(sort, value), and_(same, condition))
    first, value = sorts[0], values[0]
    if first.nullable or len(sorts) == 1:
        return condition
    edge = first.expression <= first.value(value) if first.descending else first.expression >= first.value(value)
    return and_(edge, condition)  # the edge repeats the condition in a form that an index can begin at


def _beyond(sort: Sort, value: Any) -> ColumnElement[bool]:
    if value is None:
        return literal(False)
    further = sort.expression < sort.value(value) if sort.descending else sort.expression > sort.value(value)
    return or_(further, sort.expression.is_(None)) if sort.nullable else further


def place_of(values: Sequence[Any]) -> list[Any]:
    """The sort values of a row in a form that JSON keeps exactly."""
    return [_to_text(value) for value in values]


_KINDS: dict[str, Callable[[str], Any]] = {
    "i": int,
    "f": float,
    "s": str,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "u": uuid.UUID,
    "n": Decimal,
    "b": "true".__eq__,
}


def _to_text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "b" + str(value).lower()
        case int():
            return f"i{value}"
        case float():
            return f"f{value!r}"
        case datetime():
            return "t" + value.isoformat()
        case date():
            return "d" + value.isoformat()
        case uuid.UUID():
            return f"u{value}"
        case Decimal():
            return f"n{value}"
    return f"s{value}"


def _from_text(text: str | None) -> Any:
    return None if text is None else _KINDS[text[0]](text[1:])


def values_of(place: Sequence[Any]) -> list[Any]:
    """The sort values in a place, typed as they were. `ValueError`, `KeyError` or `IndexError` for what `place_of` never made."""
    return [_from_text(text) for text in place]
