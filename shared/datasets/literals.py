"""Literals of a request as values of a field's type, and fields as comparable expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Date, DateTime, Float, Text, literal

from shared.datasets.extent import parse_date, parse_moment
from shared.datasets.filter_bounds import check_number, check_text
from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.datasets.declaration import FieldType

NUMERIC = ("integer", "number")
EXPECTED = {
    "string": "text in single quotes",
    "integer": "a number",
    "number": "a number",
    "boolean": "TRUE or FALSE",
    "datetime": "TIMESTAMP('2026-11-01T00:00:00+08:00')",
    "date": "DATE('2026-11-01')",
}


def typed(kind: FieldType, raw: Any, *, pointer: str) -> ColumnElement[Any]:
    """A literal of CQL2 JSON, typed again as the field it is compared with; a bound parameter."""
    match kind, raw:
        case "string", str():
            return literal(clean(raw, pointer=pointer), Text)
        case (("integer" | "number"), bool()):
            pass
        case (("integer" | "number"), int() | float()):
            check_number(raw, pointer=pointer)
            whole = isinstance(raw, int) or raw.is_integer()
            return literal(int(raw), BigInteger) if whole and abs(raw) <= 2**53 else literal(float(raw), Float)
        case "boolean", bool():
            return literal(raw, Boolean)
        case "datetime", str(text) | {"timestamp": str(text)}:
            return literal(parse_moment(text, pointer=pointer), DateTime(timezone=True))
        case "date", str(text) | {"date": str(text)}:
            return literal(parse_date(text, pointer=pointer), Date)
        case "datetime", {"date": str(text)}:
            raise InvalidRequest(f"A day is not a moment: give its beginning with an offset, as {EXPECTED['datetime']}.", pointer=pointer)
    raise InvalidRequest(f"A field of type {kind} is compared with {EXPECTED[kind]}, not with {shown(raw)}.", pointer=pointer)


def from_parameter(kind: FieldType, text: str, *, pointer: str) -> ColumnElement[Any]:
    """The text of a query parameter (`kind=x`) as a value of the field's type; a bound parameter."""
    clean(text, pointer=pointer)
    if kind in NUMERIC:
        try:
            return typed(kind, int(text) if text.lstrip("-").isdecimal() else float(text), pointer=pointer)
        except ValueError:
            raise InvalidRequest(f"{text[:40]!r} is not a number.", pointer=pointer) from None
    if kind == "boolean":
        if text.lower() not in ("true", "false"):
            raise InvalidRequest(f"{text[:40]!r} is neither true nor false.", pointer=pointer)
        return typed(kind, text.lower() == "true", pointer=pointer)
    return typed(kind, text, pointer=pointer)


def clean(text: str, *, pointer: str) -> str:
    """The text, if PostgreSQL can hold it: bounded, without NUL and lone surrogates."""
    check_text(text, pointer=pointer)
    return text


def shown(raw: Any) -> str:
    """A literal as the message that refuses it shows it."""
    match raw:
        case {"timestamp": text} | {"date": text}:
            return repr(str(text)[:40])
        case dict() | list():
            return "this"
        case None:
            return "NULL; write IS NULL"
    return repr(raw)[:60]
