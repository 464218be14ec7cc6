"""Time zones in which places count their days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo


@cache
def whole_hours(zone: str) -> bool:
    """Whether an IANA zone has been whole hours from UTC since 1950, so that its days are made of UTC hours."""
    offsets = (datetime(year, month, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() for year in range(1950, 2051) for month in (1, 4, 7, 10))
    return all(offset is not None and offset % timedelta(hours=1) == timedelta(0) for offset in offsets)
