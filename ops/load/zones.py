"""Local times to instants: which zone, and what happens where a clock shows an hour twice or not at all."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Micros = NDArray[np.int64]
"""Microseconds since 1970-01-01T00:00:00, local or UTC."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a local time has no zone
_MINUTE = 60_000_000
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


def zone_of(name: str) -> tzinfo:
    """An IANA zone or a fixed offset such as +08:00. Raises `ZoneInfoNotFoundError` or ValueError."""
    fixed = _OFFSET.fullmatch(name)
    if name in ("UTC", "Z"):
        return UTC
    if fixed:
        offset = timedelta(hours=int(fixed[2]), minutes=int(fixed[3]))
        return timezone(offset if fixed[1] == "+" else -offset)
    return ZoneInfo(name)


def offsets(local: Micros, zone: tzinfo) -> tuple[Micros, Micros]:
    """The zone's offset from UTC before and after a change of clocks near each local time, in microseconds (PEP 495, fold 0 and 1).

    They are equal but where the clock shows the time twice (the first is greater) or skips it (the first is less).
    """
    minutes, place = np.unique(local // _MINUTE, return_inverse=True)
    before = np.empty(len(minutes), dtype=np.int64)
    after = np.empty(len(minutes), dtype=np.int64)
    for index, minute in enumerate(minutes.tolist()):
        shown = (_EPOCH + timedelta(minutes=minute)).replace(tzinfo=zone)
        before[index] = _microseconds(shown)
        after[index] = _microseconds(shown.replace(fold=1))
    return before[place], after[place]


def _microseconds(shown: datetime) -> int:
    return (shown.utcoffset() or timedelta()) // timedelta(microseconds=1)
