"""Since when a time zone is regular enough to cut its days and hours by plain arithmetic.

`date_trunc` with a zone looks the zone's rules up for every row, which takes as long as the rest of the aggregate. Where all
offsets since some moment agree modulo the unit, `date_bin` from a local origin gives the same result for less than half.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

TimeUnit = Literal["minute", "hour", "day", "week", "month", "year"]
BINS: dict[str, timedelta] = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_FIRST, _LAST, _STEP = datetime(1970, 1, 5, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC), timedelta(days=7)
_LONGEST = timedelta(days=366)
"""A unit that began before the zone became regular may last this long."""
_MONDAY = datetime(2000, 1, 3, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Regular:
    """From `since` on, all units begin at whole multiples from `origin`; months and years are cut at the constant `offset`."""

    since: datetime
    origin: datetime
    offset: timedelta


@lru_cache(maxsize=512)
def regular(zone: str, unit: TimeUnit) -> Regular | None:
    """Since when the zone is regular for the unit, or None if it is not to this day.

    Offsets are sampled weekly: rules that held for less than a week exist in no zone of the tz database (tested for all zones
    against `date_trunc` of PostgreSQL).
    """
    tz, span = ZoneInfo(zone), BINS.get(unit)

    def remainder(moment: datetime) -> timedelta:
        offset = moment.astimezone(tz).utcoffset() or timedelta()
        return offset % span if span else offset

    last = remainder(_LAST)
    since, moment = _LAST, _LAST
    while moment >= _FIRST and remainder(moment) == last:
        since, moment = moment, moment - _STEP
    if _LAST - since < timedelta(days=365 * 20):
        return None
    offset = since.astimezone(tz).utcoffset() or timedelta()
    return Regular(since + _LONGEST, _MONDAY - last, offset)


@cache
def whole_hours(zone: str) -> bool:
    """Whether an IANA zone has been whole hours from UTC since 1950, so that its hours and days are made of UTC hours."""
    offsets = (datetime(year, month, 15, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() for year in range(1950, 2051) for month in (1, 4, 7, 10))
    return all(offset is not None and offset % timedelta(hours=1) == timedelta(0) for offset in offsets)
