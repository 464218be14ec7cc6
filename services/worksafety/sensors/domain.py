"""When a value is an alarm: it rises above a threshold (GB/T 50493-2019) that the value before was not above."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

LIVE_FOR = timedelta(hours=6)
"""A value older than this is history: loading it raises no event."""
LEVELS = ("alarm_low", "alarm_high")
"""First and second alarm."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value just recorded, between its neighbours in time."""

    sensor: str
    at: datetime
    value: float
    before: float | None
    """The value before it within a day; None if there is none."""
    after: float | None
    """The value after it that had been recorded earlier; None if there is none."""
    alarm_low: float | None
    alarm_high: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A reading that rose above a threshold."""

    reading: Reading
    level: str
    threshold: float


def alarms(readings: Iterable[Reading], now: datetime) -> Iterator[Alarm]:
    """The thresholds that these readings rose above: not again while values stay above, nor for one that a later value has already told."""
    for reading in readings:
        if reading.at < now - LIVE_FOR:
            continue
        for level, threshold in zip(LEVELS, (reading.alarm_low, reading.alarm_high), strict=True):
            if threshold is None or reading.value <= threshold:
                continue
            stays = reading.before is not None and reading.before > threshold
            known = reading.after is not None and reading.after > threshold
            if not stays and not known:
                yield Alarm(reading, level, threshold)
