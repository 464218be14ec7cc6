"""Times that a condition names, reckoned as DuckDB reckons them in the city's zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from sqlglot import exp

_TEXT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?")
_EXACT = {"MICROSECOND": 1, "MILLISECOND": 1000, "SECOND": 10**6, "MINUTE": 60 * 10**6, "HOUR": 3600 * 10**6}
_DAYS = {"DAY": 1, "WEEK": 7}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_MOMENTS = (exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMESTAMPLTZ)
_LOCAL = (exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPNTZ)


def instant(node: exp.Expr, zone: ZoneInfo, *, plain_dates: bool = False) -> datetime | date | None:
    """The moment that a constant expression is when it is compared with a moment; with `plain_dates`, the day that it is for a day.

    None for whatever is not certainly understood: other forms, times that occur twice in the zone or not at all.
    """
    try:
        found = _value(node, zone)
        if plain_dates:
            return found if type(found) is date else None
        return _local(found, zone) if found is not None else None
    except (ValueError, OverflowError):
        return None


def _value(node: exp.Expr, zone: ZoneInfo) -> datetime | date | None:
    match node:
        case exp.Paren():
            return _value(node.this, zone)
        case exp.Literal(is_string=True):
            return _read(node.this)
        case exp.Cast() if node.to.this in _MOMENTS:
            found = _value(node.this, zone)
            return _local(found, zone) if found is not None else None
        case exp.Cast() if node.to.this is exp.DataType.Type.DATE and isinstance(node.this, exp.Literal):
            found = _read(node.this.this) if node.this.is_string else None
            return found if type(found) is date else None
        case exp.Cast() if node.to.this in _LOCAL and isinstance(node.this, exp.Literal):
            found = _read(node.this.this) if node.this.is_string else None
            return None if isinstance(found, datetime) and found.tzinfo else found
        case exp.Add() | exp.Sub() if isinstance(node.expression, exp.Interval):
            start = _value(node.this, zone) if isinstance(_bare(node.this), exp.Cast | exp.Add | exp.Sub) else None
            return _moved(start, node.expression, zone, -1 if isinstance(node, exp.Sub) else 1)
    return None


def _bare(node: exp.Expr) -> exp.Expr:
    return _bare(node.this) if isinstance(node, exp.Paren) else node


def _read(text: str) -> datetime | date | None:
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    day = date(int(found[1]), int(found[2]), int(found[3]))
    if not 1900 <= day.year <= 2200:
        return None
    if found[4] is None:
        return day
    moment = datetime.combine(day, time(int(found[4]), int(found[5]), int(found[6] or 0), int((found[7] or "0").ljust(6, "0"))))
    if found[8] is None:
        return moment
    if found[8] == "Z":
        return moment.replace(tzinfo=UTC)
    digits = found[8][1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return moment.replace(tzinfo=timezone(offset if found[8][0] == "+" else -offset))


def _local(value: datetime | date, zone: ZoneInfo) -> datetime | None:
    """A moment; a day or a time without offset is one of the zone, unless it occurs there twice or not at all."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    naive = value if isinstance(value, datetime) else datetime.combine(value, time())
    first, second = naive.replace(tzinfo=zone), naive.replace(tzinfo=zone, fold=1)
    return first if first.utcoffset() == second.utcoffset() else None


def _moved(start: datetime | date | None, span: exp.Interval, zone: ZoneInfo, sign: int) -> datetime | None:
    """A moment moved by hours and less exactly, by days and more on the zone's calendar."""
    number, unit = span.this, span.args.get("unit")
    if start is None or unit is None or not isinstance(number, exp.Literal) or not re.fullmatch(r"\d{1,6}", number.this):
        return None
    kind, amount = str(unit.this).upper().removesuffix("S"), sign * int(number.this)
    if not isinstance(start, datetime):
        return _shifted(datetime.combine(start, time()), kind, amount)
    if start.tzinfo is None:
        return _shifted(start, kind, amount)
    if kind in _EXACT:
        return start.astimezone(UTC) + timedelta(microseconds=amount * _EXACT[kind])
    local = _shifted(start.astimezone(zone).replace(tzinfo=None), kind, amount)
    return None if local is None else _local(local, zone)


def _shifted(local: datetime, kind: str, amount: int) -> datetime | None:
    """A time of the calendar, moved on the calendar; the last day of a month where the month is shorter."""
    if kind in _EXACT:
        return local + timedelta(microseconds=amount * _EXACT[kind])
    if kind in _DAYS:
        return local + timedelta(days=amount * _DAYS[kind])
    if kind in _MONTHS:
        months = local.year * 12 + local.month - 1 + amount * _MONTHS[kind]
        last = (date(months // 12 + (months % 12 == 11), (months + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return local.replace(year=months // 12, month=months % 12 + 1, day=min(local.day, last))
    return None
