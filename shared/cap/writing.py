"""How CAP writes times, points and lists of words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.cap.document import Circle, Point, Reference

_WORD = re.compile(r'"([^"]*)"|(\S+)')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d")


def time_text(moment: datetime) -> str:
    """To the second, with offset; UTC is `-00:00`, never `Z` (CAP 1.2, 3.3.2)."""
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a time in CAP bears its offset")
    text = moment.replace(microsecond=0, tzinfo=None).isoformat()
    if not offset:
        return f"{text}-00:00"
    sign, minutes = ("-", -offset) if offset < timedelta(0) else ("+", offset)
    whole = int(minutes.total_seconds() // 60)
    return f"{text}{sign}{whole // 60:02d}:{whole % 60:02d}"


def is_cap_time(text: str) -> bool:
    """Whether a time is written as CAP 1.2 wants it."""
    return _TIME.fullmatch(text) is not None


def number_text(value: float) -> str:
    """Without exponent, to a centimetre where it is degrees."""
    return f"{value:.7f}".rstrip("0").rstrip(".") if value else "0"


def point_text(point: Point) -> str:
    """Latitude first."""
    return f"{number_text(point[1])},{number_text(point[0])}"


def ring_text(ring: Iterable[Point]) -> str:
    return " ".join(map(point_text, ring))


def circle_text(circle: Circle) -> str:
    return f"{point_text(circle.centre)} {number_text(circle.radius_km)}"


def words_text(words: Iterable[str]) -> str:
    """Words with spaces in them stand in quotes."""
    return " ".join(f'"{word}"' if re.search(r"\s", word) else word for word in words)


def words_of(text: str) -> tuple[str, ...]:
    return tuple(quoted or plain for quoted, plain in _WORD.findall(text))


def reference_text(reference: Reference) -> str:
    """`sender,identifier,sent`."""
    return f"{reference.sender},{reference.identifier},{time_text(reference.sent)}"
