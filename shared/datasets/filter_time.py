"""Temporal operators of CQL2 on fields that are instants or days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, not_, true

from shared.datasets.literals import typed
from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.datasets.declaration import FieldType
    from shared.datasets.view import View

OPERATORS = ("t_after", "t_before", "t_during", "t_equals", "t_intersects", "t_disjoint")
MIRRORED = {"t_after": "t_before", "t_before": "t_after", "t_equals": "t_equals", "t_intersects": "t_intersects", "t_disjoint": "t_disjoint"}


def compare_times(view: View, op: str, args: list[Any], *, pointer: str) -> ColumnElement[bool]:
    """A field against an instant or an interval (OGC 21-065r2, 7.8). `t_during` excludes the ends, `t_intersects` includes them."""
    match args:
        case [{"property": str(name)}, value]:
            pass
        case [value, {"property": str(name)}] if op in MIRRORED:
            op = MIRRORED[op]
        case _:
            raise InvalidRequest(f"{op} compares a field with a time or an interval.", pointer=pointer)
    if op not in OPERATORS:
        raise InvalidRequest(f"The operator {op!r} is not supported. Supported: {', '.join(OPERATORS)}.", pointer=pointer)
    field, column = view.named(name, pointer=pointer)
    if field.type not in ("datetime", "date"):
        raise InvalidRequest(f"{name!r} is of type {field.type}, not a time.", pointer=pointer)
    start, end = _ends(field.type, value, pointer)
    return _compare(op, column, start, end, isinstance(value, dict) and "interval" in value, pointer)


def _ends(kind: FieldType, value: Any, pointer: str) -> tuple[ColumnElement[Any] | None, ColumnElement[Any] | None]:
    match value:
        case {"interval": [start, end]}:
            low, high = (None if edge == ".." else typed(kind, edge, pointer=pointer) for edge in (start, end))
            return low, high
        case {"interval": _}:
            raise InvalidRequest("An interval has two ends: INTERVAL('2026-11-01T00:00:00Z','..').", pointer=pointer)
    instant = typed(kind, value, pointer=pointer)
    return instant, instant


def _compare(
    op: str, column: ColumnElement[Any], start: ColumnElement[Any] | None, end: ColumnElement[Any] | None, interval: bool, pointer: str
) -> ColumnElement[bool]:
    within = and_(true(), *([column >= start] if start is not None else []), *([column <= end] if end is not None else []))
    match op:
        case "t_after" if end is not None:
            return column > end
        case "t_before" if start is not None:
            return column < start
        case "t_during" if interval:
            return and_(column.is_not(None), *([column > start] if start is not None else []), *([column < end] if end is not None else []))
        case "t_intersects":
            return within
        case "t_disjoint":
            return not_(within)
        case "t_equals" if not interval:
            return column == start
    raise InvalidRequest(f"{op} cannot be answered for this {'open interval' if interval else 'instant'}.", pointer=pointer)
