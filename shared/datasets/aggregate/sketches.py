"""Two sketches that merge: log buckets for quantiles, HyperLogLog registers for the number of distinct values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

GAMMA = 1.02
"""Width of a bucket: it holds the values of (GAMMA^(i-1), GAMMA^i]."""
QUANTILE_ERROR = 0.01
"""Bound of the relative error of a quantile: (GAMMA - 1) / (GAMMA + 1) = 0.0099, rounded up (DDSketch, Masson et al. 2019, eq. 3)."""
BUCKET_OFFSET = 40_000
"""Added to i, so that keys of positive doubles are positive and, mirrored for negative values and 0 for zero, sort as the values do."""
BUCKET_LIMIT = 2 * BUCKET_OFFSET
BUCKETS_VERSION = f"log-buckets/gamma={GAMMA}/offset={BUCKET_OFFSET}"

PRECISION = 10
REGISTER_COUNT = 1 << PRECISION
RANKED_BITS = 52
RANK_LIMIT = RANKED_BITS + 1
"""Largest rank: that of a hash whose ranked bits are all zero."""
DISTINCT_ERROR = round(1.04 / math.sqrt(REGISTER_COUNT), 4)
"""Standard error of the estimate, not a bound (Flajolet et al. 2007)."""
REGISTERS_VERSION = f"hll/p={PRECISION}/hashtextextended/seed=0"


def bucket_values(keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """The value that stands for each bucket: within `QUANTILE_ERROR` of every value in it."""
    exponent = np.abs(keys).astype(np.float64) - BUCKET_OFFSET
    with np.errstate(over="ignore", under="ignore"):
        size = np.minimum(np.exp(exponent * math.log(GAMMA)) * (2 / (GAMMA + 1)), np.finfo(np.float64).max)
    return np.where(keys == 0, 0.0, np.sign(keys) * size)


def quantiles(keys: NDArray[np.int64], counts: NDArray[np.int64], offsets: NDArray[np.int64], q: float) -> NDArray[np.float64]:
    """The lower q-quantile of each group, NaN for an empty one.

    Group g has the buckets `offsets[g]` to `offsets[g + 1]`. The quantile of n values is the one at 0-based rank
    floor(q (n - 1)), as in pandas with `interpolation="lower"`.
    """
    cumulative = np.concatenate(([0], np.cumsum(counts)))
    before, total = cumulative[offsets[:-1]], np.diff(cumulative[offsets])
    filled = total > 0
    rank = np.floor(q * np.maximum(total - 1, 0)).astype(np.int64)
    found = np.searchsorted(cumulative, (before + rank)[filled], side="right") - 1
    result = np.full(len(total), np.nan)
    result[filled] = bucket_values(keys[found])
    return result


def distinct_counts(registers: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The estimated number of distinct values of each group (Ertl 2017, "New cardinality estimation algorithms", algorithm 6)."""
    groups = len(offsets) - 1
    owner = np.repeat(np.arange(groups), np.diff(offsets))
    histogram = np.zeros((groups, RANK_LIMIT + 1))
    np.add.at(histogram, (owner, registers & 63), 1)
    histogram[:, 0] = REGISTER_COUNT - np.diff(offsets)
    z = REGISTER_COUNT * _tau(1 - histogram[:, RANK_LIMIT] / REGISTER_COUNT)
    for rank in range(RANK_LIMIT - 1, 0, -1):
        z = 0.5 * (z + histogram[:, rank])
    z += REGISTER_COUNT * _sigma(histogram[:, 0] / REGISTER_COUNT)
    with np.errstate(divide="ignore"):
        return np.rint(REGISTER_COUNT**2 / (2 * math.log(2)) / z).astype(np.int64)


def _sigma(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correction for empty registers, of Ertl's eq. (13); infinite where all are empty."""
    result, power, weight = x.copy(), x.copy(), 1.0
    for _ in range(60):
        power = power * power
        result += power * weight
        weight *= 2
    return np.where(x == 1, np.inf, result)


def _tau(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correction for saturated registers, of Ertl's eq. (22)."""
    result, root, weight = 1 - x, x.copy(), 1.0
    for _ in range(60):
        root = np.sqrt(root)
        weight *= 0.5
        result -= (1 - root) ** 2 * weight
    return np.where((x == 0) | (x == 1), 0.0, result / 3)
