"""Hourly roll-ups: computed from new values at once, merged into what is there by Chan's formula, made anew after a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from shared.body.typed import EPOCH, Moments, Numbers
from shared.series.copying import Array, binary, timestamps
from shared.series.properties import COUNTED

HOUR_US = 3_600_000_000
_COLUMNS = ["series", "hour", "count", "sum", "mean", "m2", "min", "max"]
# Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979), eq. 1.5.
# An hour is reported when it first has enough values and its mean exceeds the limit.
_MERGE = """
    WITH fresh AS MATERIALIZED (
        SELECT series, 'epoch'::timestamptz + hours * interval '1 hour' AS hour, count, sum, mean, m2, min, max, limited, needs
        FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::float8[], $5::float8[], $6::float8[], $7::float8[], $8::float8[],
            $9::float8[], $10::integer[]) AS f (series, hours, count, sum, mean, m2, min, max, limited, needs)
    ), merged AS (
        INSERT INTO observations_hourly AS h (series, hour, count, sum, mean, m2, min, max)
        SELECT series, hour, count, sum, mean, m2, min, max FROM fresh ORDER BY series, hour
        ON CONFLICT (series, hour) DO UPDATE SET
            count = h.count + excluded.count,
            sum = h.sum + excluded.sum,
            mean = h.mean + (excluded.mean - h.mean) * excluded.count / (h.count + excluded.count),
            m2 = h.m2 + excluded.m2 + (excluded.mean - h.mean) ^ 2 * h.count * excluded.count / (h.count + excluded.count),
            min = least(h.min, excluded.min),
            max = greatest(h.max, excluded.max)
        RETURNING h.series, h.hour, coalesce(old.count, 0) AS before, new.count, new.mean
    )
    SELECT merged.series, merged.hour, merged.mean FROM merged JOIN fresh f USING (series, hour)
    WHERE merged.mean > f.limited AND merged.before < f.needs AND merged.count >= f.needs
"""
# Locks the hours in one order before their values are counted, so that no concurrent load is counted twice or not at all.
_LOCK = """
    INSERT INTO observations_hourly AS h (series, hour, count, sum, mean, m2, min, max)
    SELECT series, hour, 0, 0, 0, 0, 0, 0 FROM unnest($1::integer[], $2::timestamptz[]) AS k (series, hour) ORDER BY series, hour
    ON CONFLICT (series, hour) DO UPDATE SET count = h.count
"""
_REMAKE = f"""
    WITH counted AS (
        SELECT k.series, k.hour, count(*) AS count, sum(o.value) AS sum, avg(o.value) AS mean, var_pop(o.value) * count(*) AS m2,
            min(o.value) AS min, max(o.value) AS max
        FROM unnest($1::integer[], $2::timestamptz[]) AS k (series, hour)
        JOIN observations o ON o.series = k.series AND o.time >= k.hour AND o.time < k.hour + interval '1 hour' AND o.quality <= {COUNTED.value}
        WHERE o.time >= $3 AND o.time < $4
        GROUP BY k.series, k.hour
    ), remade AS (
        UPDATE observations_hourly h SET count = c.count, sum = c.sum, mean = c.mean, m2 = c.m2, min = c.min, max = c.max
        FROM counted c WHERE h.series = c.series AND h.hour = c.hour
        RETURNING h.series, h.hour, old.count AS count_before, old.mean AS mean_before, new.count, new.mean
    ), emptied AS (
        DELETE FROM observations_hourly h USING unnest($1::integer[], $2::timestamptz[]) AS k (series, hour)
        WHERE h.series = k.series AND h.hour = k.hour AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.series = k.series AND c.hour = k.hour)
    )
    SELECT * FROM remade
"""


@dataclass(frozen=True, slots=True)
class Hours:
    """Roll-ups of some values by series and hour, sorted by both."""

    series: NDArray[np.int32]
    hour: Moments
    count: NDArray[np.int32]
    sum: Numbers
    mean: Numbers
    m2: Numbers
    min: Numbers
    max: Numbers

    def __len__(self) -> int:
        return len(self.series)

    def arrays(self) -> list[Array]:
        return [self.series, timestamps(self.hour), self.count, self.sum, self.mean, self.m2, self.min, self.max]


@dataclass(frozen=True, slots=True)
class HourlyMean:
    """The mean of a valid hour."""

    series: int
    hour: datetime
    mean: float


def roll_up(series: NDArray[np.int32], time: Moments, value: Numbers) -> Hours:
    """Roll-ups of values that are sorted by series and time."""
    hour = time // HOUR_US * HOUR_US
    first = np.ones(len(series), dtype=np.bool_)
    first[1:] = (series[1:] != series[:-1]) | (hour[1:] != hour[:-1])
    starts = np.flatnonzero(first)
    count = np.diff(np.append(starts, len(series))).astype(np.int32)
    total = np.add.reduceat(value, starts)
    mean = total / count
    m2 = np.add.reduceat((value - np.repeat(mean, count)) ** 2, starts)
    return Hours(series[starts], hour[starts], count, total, mean, m2, np.minimum.reduceat(value, starts), np.maximum.reduceat(value, starts))


async def add(driver: Any, hours: Hours, limited: Numbers, needs: NDArray[np.int32], *, likely_new: bool) -> list[HourlyMean]:
    """Merge roll-ups of new values; the hours that have become valid with a mean above their limit (NaN for none).

    `likely_new` says that these hours are probably not there yet; then they are copied, and merged only if one is.
    """
    if likely_new:
        try:
            async with driver.transaction():
                await driver.copy_to_table("observations_hourly", source=binary(hours.arrays()), columns=_COLUMNS, format="binary")
        except asyncpg.UniqueViolationError:
            pass
        else:
            above = np.flatnonzero((hours.count >= needs) & (hours.mean > limited))
            return [HourlyMean(int(hours.series[i]), moment(int(hours.hour[i])), float(hours.mean[i])) for i in above]
    whole = hours.hour // HOUR_US
    columns = (hours.series, whole, hours.count, hours.sum, hours.mean, hours.m2, hours.min, hours.max, np.where(np.isnan(limited), np.inf, limited), needs)
    return [HourlyMean(*row) for row in await driver.fetch(_MERGE, *(column.tolist() for column in columns))]


async def remake(driver: Any, series: Sequence[int], hours: Sequence[int]) -> list[tuple[HourlyMean, int, float, int]]:
    """Count hours anew whose values were corrected; each with its count and mean before, and its count now. Sorted input, no repetitions."""
    keys = list(series), [moment(hour) for hour in hours]
    await driver.execute(_LOCK, *keys)
    rows = await driver.fetch(_REMAKE, *keys, min(keys[1]), max(keys[1]) + timedelta(hours=1))
    return [(HourlyMean(row["series"], row["hour"], row["mean"]), row["count_before"], row["mean_before"], row["count"]) for row in rows]


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 as a moment."""
    return EPOCH + timedelta(microseconds=microseconds)
