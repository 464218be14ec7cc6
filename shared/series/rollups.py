"""Hourly roll-ups: computed from new values at once, merged into what is there by Chan's formula, made anew after a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from shared.body.typed import EPOCH, Moments, Numbers, microseconds
from shared.series.copying import Array, binary, literal, timestamps
from shared.series.properties import COUNTED

HOUR_US = 3_600_000_000
_COLUMNS = ["series", "hour", "count", "sum", "mean", "m2", "min", "max"]
# Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979), eq. 1.5.
# Reports the hours that may just have become valid: each is once, when its count passes what its series needs.
_MERGE = """
    WITH merged AS (
        INSERT INTO observations_hourly AS h (series, hour, count, sum, mean, m2, min, max)
        SELECT series, 'epoch'::timestamptz + hours * interval '1 hour' AS hour, count, sum, mean, m2, min, max
        FROM unnest($1::text::integer[], $2::text::integer[], $3::text::integer[], $4::text::float8[], $5::text::float8[], $6::text::float8[],
            $7::text::float8[], $8::text::float8[]) AS fresh (series, hours, count, sum, mean, m2, min, max)
        ORDER BY series, hour
        ON CONFLICT (series, hour) DO UPDATE SET
            count = h.count + excluded.count,
            sum = h.sum + excluded.sum,
            mean = h.mean + (excluded.mean - h.mean) * excluded.count / (h.count + excluded.count),
            m2 = h.m2 + excluded.m2 + (excluded.mean - h.mean) ^ 2 * h.count * excluded.count / (h.count + excluded.count),
            min = least(h.min, excluded.min),
            max = greatest(h.max, excluded.max)
        RETURNING h.series, h.hour, coalesce(old.count, 0) AS before, new.count, new.mean
    )
    SELECT * FROM merged WHERE count >= $9 AND before < $10 ORDER BY series, hour
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
    SELECT * FROM remade ORDER BY series, hour
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
class Means:
    """Means of valid hours, those of one series together."""

    series: NDArray[np.int32]
    hour: Moments
    mean: Numbers

    @classmethod
    def of(cls, rows: Sequence[tuple[int, datetime, float]]) -> Means:
        series, hours, means = zip(*rows, strict=True) if rows else ((), (), ())
        hour = np.fromiter(map(microseconds, hours), dtype=np.int64)
        return cls(np.array(series, dtype=np.int32), hour, np.array(means, dtype=np.float64))

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Means:
        return Means(self.series[chosen], self.hour[chosen], self.mean[chosen])


@dataclass(frozen=True, slots=True)
class Remade:
    """Hours counted anew, and what they were before."""

    now: Means
    count: NDArray[np.int32]
    count_before: NDArray[np.int32]
    mean_before: Numbers


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


async def add(driver: Any, hours: Hours, needs: NDArray[np.int32], *, likely_new: bool) -> Means:
    """Merge roll-ups of new values; the hours that have become valid, because they now have the values that they need.

    `likely_new` says that these hours are probably not there yet; then they are copied, and merged only if one is.
    """
    if likely_new:
        try:
            async with driver.transaction():
                await driver.copy_to_table("observations_hourly", source=binary(hours.arrays()), columns=_COLUMNS, format="binary")
        except asyncpg.UniqueViolationError:
            pass  # some of the hours are there: merged below
        else:
            return Means(hours.series, hours.hour, hours.mean)[hours.count >= needs]
    columns = (hours.series, hours.hour // HOUR_US, hours.count, hours.sum, hours.mean, hours.m2, hours.min, hours.max)
    merged = await driver.fetch(_MERGE, *(literal(column) for column in columns), int(needs.min()), int(needs.max()))
    needed = dict(zip(hours.series.tolist(), needs.tolist(), strict=True)) if merged else {}
    return Means.of([(series, hour, mean) for series, hour, before, count, mean in merged if before < needed[series] <= count])


async def remake(driver: Any, series: NDArray[np.int32], hours: Moments) -> Remade:
    """Count hours anew whose values were corrected. Sorted by series and hour, no repetitions."""
    keys = series.tolist(), [moment(hour) for hour in hours.tolist()]
    await driver.execute(_LOCK, *keys)
    rows = await driver.fetch(_REMAKE, *keys, min(keys[1]), max(keys[1]) + timedelta(hours=1))
    counts = np.array([(row["count"], row["count_before"]) for row in rows], dtype=np.int32).reshape(-1, 2)
    means = Means.of([(row["series"], row["hour"], row["mean"]) for row in rows])
    return Remade(means, counts[:, 0], counts[:, 1], np.array([row["mean_before"] for row in rows], dtype=np.float64))


def moment(microseconds: int) -> datetime:
    """Microseconds since 1970 as a moment."""
    return EPOCH + timedelta(microseconds=microseconds)
