"""Where and when: the `bbox` and `datetime` parameters of OGC API – Features, and their conditions on a view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Float, and_, func, literal, or_, true

from shared.datasets.declaration import Point
from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.datasets.view import View

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84H = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
EPSG4326 = "http://www.opengis.net/def/crs/EPSG/0/4326"
YEARS = (1, 9998)
"""Years that a moment may lie in; beyond them shifting to UTC would leave the calendar."""


@dataclass(frozen=True, slots=True)
class Bbox:
    """A box in degrees, WGS 84. `west` is greater than `east` where it crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def parts(self) -> tuple[tuple[float, float, float, float], ...]:
        """One ordinary box, or the two on either side of the antimeridian."""
        if self.west <= self.east:
            return ((self.west, self.south, self.east, self.north),)
        return ((self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north))


@dataclass(frozen=True, slots=True)
class Interval:
    """A span of time, closed at both ends; None is open. An instant has equal ends."""

    start: datetime | None
    end: datetime | None


def parse_bbox(text: str, *, crs: str | None = None, pointer: str = "/bbox") -> Bbox:
    """Four or six numbers, `west,south,east,north` or with heights, which do not restrict (OGC 17-069r4, 7.15.3)."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (4, 6) or not all(math.isfinite(number) for number in numbers):
        raise InvalidRequest("bbox takes four or six numbers: west,south,east,north in degrees (WGS 84).", pointer=pointer)
    half = len(numbers) // 2
    low, high = numbers[:2], numbers[half : half + 2]
    if crs == EPSG4326:
        low, high = low[::-1], high[::-1]
    elif crs not in (None, CRS84, CRS84H):
        raise InvalidRequest(f"bbox-crs must be {CRS84} or {EPSG4326}.", pointer="/bbox-crs")
    return bbox_of(*low, *high, pointer=pointer)


def bbox_of(west: float, south: float, east: float, north: float, *, pointer: str) -> Bbox:
    """A checked box."""
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise InvalidRequest("bbox must lie within -180,-90,180,90, with south below north.", pointer=pointer)
    return Bbox(west, south, east, north)


def parse_datetime(text: str, *, pointer: str = "/datetime") -> Interval:
    """An instant or an interval `start/end` with `..` or nothing for an open end (OGC 17-069r4, 7.15.4). A date is the whole day, in UTC."""
    parts = text.split("/")
    if len(parts) == 1 and text not in ("", ".."):
        return Interval(_edge(text, time.min, pointer), _edge(text, time.max, pointer))
    if len(parts) != 2 or all(part in ("", "..") for part in parts):
        raise InvalidRequest("datetime takes a time, or start/end with `..` for one open end.", pointer=pointer)
    start, end = (_edge(part, of_day, pointer) for part, of_day in zip(parts, (time.min, time.max), strict=True))
    if start is not None and end is not None and start > end:
        raise InvalidRequest("datetime begins after its end.", pointer=pointer)
    return Interval(start, end)


def _edge(text: str, of_day: time, pointer: str) -> datetime | None:
    """One end of an interval. GDAL writes a date as `2026-11-01T`."""
    if text in ("", ".."):
        return None
    if len(text.removesuffix("T")) == len("2026-11-01"):
        return _within_years(datetime.combine(parse_date(text.removesuffix("T"), pointer=pointer), of_day, UTC), text, pointer)
    return parse_moment(text, pointer=pointer)


def parse_moment(text: str, *, pointer: str) -> datetime:
    """A time with its offset (RFC 3339), in UTC. A `+` that arrived as a space is taken as the `+` it was."""
    try:
        moment = datetime.fromisoformat(text.strip().upper().replace(" ", "+") if "T" in text.upper() else text)
    except ValueError:
        moment = None
    if moment is None or len(text) < len("2026-01-01T00:00Z"):
        raise InvalidRequest(f"{text[:40]!r} is not a time. Write it as 2026-11-01T00:00:00+08:00.", pointer=pointer)
    if moment.tzinfo is None:
        raise InvalidRequest(f"{text[:40]!r} has no offset. Add Z or +08:00.", pointer=pointer)
    return _within_years(moment, text, pointer).astimezone(UTC)


def told_moment(moment: datetime) -> datetime:
    """A moment that another service tells, in UTC. `ValueError` if it has no offset, or lies where it cannot be told in every zone."""
    if moment.tzinfo is None or not YEARS[0] < moment.year <= YEARS[1]:
        raise ValueError("a moment has no offset, or lies at an end of the calendar")
    return moment.astimezone(UTC)


def moment_in(text: Any) -> datetime | None:
    """The moment that another service tells in a text, None if it is none or cannot be told on."""
    try:
        return told_moment(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return None


def _within_years(moment: datetime, text: str, pointer: str) -> datetime:
    """The moment, if it can be told in every zone."""
    if not YEARS[0] < moment.year <= YEARS[1]:
        raise InvalidRequest(f"The year of {text[:40]!r} is out of range.", pointer=pointer)
    return moment


def parse_date(text: str, *, pointer: str) -> date:
    """A calendar day (RFC 3339 full-date)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is not a date. Write it as 2026-11-01.", pointer=pointer) from None


def within_bbox(view: View, bbox: Bbox, *, pointer: str = "/bbox") -> ColumnElement[bool]:
    """Rows whose geometry meets the box, its edge included; for shapes, whose envelope does. Rows without geometry do not."""
    if view.geometry is None:
        raise InvalidRequest(f"{view.dataset.id} has no geometry to compare with a box.", pointer=pointer)
    first, second = view.geometry
    if isinstance(view.dataset.geometry, Point):
        place = func.point(first, second)
        return or_(*(place.bool_op("<@")(_box(*part)) for part in bbox.parts()))
    return or_(*(second.bool_op("&&")(_box(*part)) for part in bbox.parts()))


def _box(west: float, south: float, east: float, north: float) -> ColumnElement[Any]:
    """A PostgreSQL `box` from bound parameters."""
    return func.box(func.point(literal(west, Float), literal(south, Float)), func.point(literal(east, Float), literal(north, Float)))


def within_datetime(view: View, interval: Interval, *, pointer: str = "/datetime") -> ColumnElement[bool]:
    """Rows whose time lies in the interval, both ends included; a row that bears a date is there all that day (UTC)."""
    if view.time is None:
        raise InvalidRequest(f"{view.dataset.id} has no time to compare with.", pointer=pointer)
    column = view.columns[view.time.name]
    start: datetime | date | None = interval.start
    end: datetime | date | None = interval.end
    if view.time.type == "date":
        start, end = (moment.date() if moment else None for moment in (interval.start, interval.end))
    conditions = [column >= start] if start is not None else []
    conditions += [column <= end] if end is not None else []
    return and_(true(), *conditions)
