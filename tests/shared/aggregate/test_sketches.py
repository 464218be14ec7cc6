"""Quantiles are within their stated error of numpy's lower ones; distinct counts within a few standard errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.aggregate.sketches import DISTINCT_ERROR, QUANTILE_ERROR, bucket_values, distinct_counts, quantiles
from tests.shared.aggregate.reference import bucket_key, registers_of

values = st.one_of(
    st.just(0.0),
    st.floats(1e-300, 1e300),
    st.floats(-1e300, -1e-300),
    st.integers(-1000, 1000).map(float),
)


def sketch(numbers: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = pd.Series([bucket_key(number) for number in numbers]).value_counts().sort_index()
    return counts.index.to_numpy(np.int64), counts.to_numpy(np.int64), np.array([0, len(counts)])


@settings(max_examples=100, deadline=None)
@given(st.lists(values, min_size=1, max_size=60), st.floats(0.001, 1))
def test_a_quantile_is_within_one_percent_of_the_lower_one(numbers: list[float], q: float) -> None:
    (found,) = quantiles(*sketch(numbers), q)
    exact = np.sort(numbers)[int(np.floor(q * (len(numbers) - 1)))]
    assert abs(found - exact) <= QUANTILE_ERROR * abs(exact)


@pytest.mark.parametrize("q", [0.01, 0.25, 0.5, 0.9, 0.99, 1.0])
def test_quantiles_agree_with_pandas_on_each_of_many_groups(q: float) -> None:
    random = np.random.default_rng(3)
    rows = pd.DataFrame({"group": random.integers(0, 40, 4000), "value": np.round(random.normal(20, 30, 4000), 1)})
    keyed = rows.assign(key=[bucket_key(value) for value in rows["value"]]).groupby(["group", "key"]).size()
    offsets = np.searchsorted(keyed.index.get_level_values(0), np.arange(41)).astype(np.int64)
    found = quantiles(keyed.index.get_level_values(1).to_numpy(np.int64), np.asarray(keyed, dtype=np.int64), offsets, q)
    expected = rows.groupby("group")["value"].quantile(q, interpolation="lower").to_numpy()
    np.testing.assert_allclose(found, expected, rtol=QUANTILE_ERROR, atol=0)


@given(st.floats(-1e307, 1e307).filter(lambda value: abs(value) > 1e-300))
def test_a_bucket_stands_for_every_value_in_it(value: float) -> None:
    (found,) = bucket_values(np.array([bucket_key(value)]))
    assert abs(found - value) <= QUANTILE_ERROR * abs(value)


def test_keys_are_in_the_order_of_the_values() -> None:
    numbers = [-1e300, -7.0, -1.0, -1e-9, -1e-300, 0.0, 1e-300, 1e-9, 1.0, 7.0, 1e300]
    assert [bucket_key(number) for number in numbers] == sorted(bucket_key(number) for number in numbers)


def test_an_empty_group_has_no_quantile() -> None:
    found = quantiles(np.array([0]), np.array([4]), np.array([0, 0, 1]), 0.5)
    assert np.isnan(found[0]) and found[1] == 0


@pytest.mark.parametrize("count", [1, 2, 100, 1000, 2600, 5000, 100_000])
def test_distinct_counts_are_within_four_standard_errors(count: int) -> None:
    hashes = np.random.default_rng(count).integers(0, 2**63, count, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    packed = registers_of(hashes)
    (found,) = distinct_counts(packed, np.array([0, len(packed)]))
    assert abs(found - count) <= max(4 * DISTINCT_ERROR * count, 0.5)


def test_nothing_is_counted_as_nothing() -> None:
    assert distinct_counts(np.array([], dtype=np.int64), np.array([0, 0])).tolist() == [0]
