"""When a mean rises above a limit: one crossing, however many values lie above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.body.typed import Moments, Numbers, microseconds
from shared.series.directory import Known
from shared.series.properties import Limit
from shared.series.rollups import Means, moment

NEWS = timedelta(days=7)
"""An hour that ended longer ago is history: loading it raises no event."""
LOOK_BACK = timedelta(hours=24)
"""After so long without valid hours, a mean above the limit is a crossing of its own."""
# Served by the key (series, hour); only hours above their limit are asked for.
_NEIGHBOURS = """
    SELECT k.place::integer, earlier.mean AS before, later.mean AS after
    FROM unnest($1::integer[], $2::timestamptz[], $3::integer[]) WITH ORDINALITY AS k (series, hour, needs, place)
    LEFT JOIN LATERAL (
        SELECT mean FROM observations_hourly h
        WHERE h.series = k.series AND h.hour < k.hour AND h.hour >= k.hour - $4::interval AND h.count >= k.needs ORDER BY h.hour DESC LIMIT 1
    ) AS earlier ON true
    LEFT JOIN observations_hourly AS later ON later.series = k.series AND later.hour = k.hour + interval '1 hour' AND later.count >= k.needs
    ORDER BY k.place
"""


@dataclass(frozen=True, slots=True)
class Crossing:
    """The first hour of a run of hours whose mean lies above a limit."""

    feature: str
    property: str
    area: str
    hour: datetime
    mean: float
    limit: Limit


def limits_of(known: dict[int, Known], limits: Sequence[Limit], series: NDArray[np.int32], hour: Moments) -> Numbers:
    """The limit of each series' hour, NaN where there is none. Hours of one series stand together."""
    found = np.full(len(series), np.nan)
    first = np.flatnonzero(np.diff(series, prepend=-1))
    measured = np.array([known[one].property for one in series[first].tolist()])
    runs = np.diff(first, append=len(series))
    for limit in limits:
        within = np.repeat(measured == limit.property, runs) & (hour >= _day(limit.since)) & (hour < _day(limit.until))
        found[within] = limit.value
    return found


def _day(day: date) -> int:
    return microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))


async def crossings(driver: Any, above: Means, known: dict[int, Known], limits: Sequence[Limit], now: datetime) -> list[Crossing]:
    """Which of these hours begin a run: the valid hour before was not above, and none that follows had been found above already."""
    recent = above[above.hour > microseconds(now - NEWS)]
    hours = [(series, moment(hour), mean) for series, hour, mean in zip(recent.series.tolist(), recent.hour.tolist(), recent.mean.tolist(), strict=True)]
    if not hours:
        return []
    needs = [known[series].hour_needs for series, _, _ in hours]
    found = await driver.fetch(_NEIGHBOURS, [series for series, _, _ in hours], [hour for _, hour, _ in hours], needs, LOOK_BACK)
    together = {(series, hour) for series, hour, _ in hours}
    crossed = []
    for (series, hour, mean), neighbours in zip(hours, found, strict=True):
        measured = known[series]
        limit = next(limit for limit in limits if limit.property == measured.property and limit.since <= hour.date() < limit.until)
        continues = neighbours["before"] is not None and neighbours["before"] > limit.value
        known_later = neighbours["after"] is not None and neighbours["after"] > limit.value and (series, hour + timedelta(hours=1)) not in together
        if not continues and not known_later:
            crossed.append(Crossing(measured.feature, measured.property, measured.area, hour, mean, limit))
    return crossed
