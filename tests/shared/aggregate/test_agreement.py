"""States of one field that cannot be true together are refused; true ones never are."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from shared.datasets.aggregate.columns import GROUP_ROWS, Dimension, Layout, Measure
from shared.datasets.aggregate.consistency import check_table
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.sketches import BUCKET_OFFSET, GAMMA

FUNCTIONS = {"n": "count", "s": "sum", "a": "avg", "l": "min", "m": "max", "d": "stddev", "q": "quantile", "u": "distinct"}
LAYOUT = Layout(
    (Dimension("kind", "kind", "string"),),
    tuple(Measure(name, fn, "x", 0.5 if fn == "quantile" else None, "number") for name, fn in FUNCTIONS.items()),  # type: ignore[arg-type]  # as listed
    "Asia/Shanghai",
)
SETS: Sequence[list[float]] = (
    [1.0, 2.0, 4.5],
    [-3.0],
    [0.0, 0.0],
    [1e15, 1e15 + 0.125, 1e15 - 0.125],
    [1e-300, 1e300],
    [0.1] * 1000,
    [-7.25, 0.0, 7.25, 5e-324],
    [random.Random(3).gauss(1e9, 1) for _ in range(500)],
    [],
)


def bucket(value: float) -> int:
    if value == 0:
        return 0
    return int(math.copysign(math.ceil(math.log(abs(value)) / math.log(GAMMA)) + BUCKET_OFFSET, value))


def true_states() -> dict[str, list[Any]]:
    """One group for each set of values, and one row without a value in each."""
    columns: dict[str, list[Any]] = {name: [] for name in LAYOUT.schema().names}
    for number, values in enumerate(SETS):
        mean = statistics.fmean(values) if values else None
        row: dict[str, Any] = {"kind": str(number), GROUP_ROWS: len(values) + 1}
        row |= {f"{name}.count": len(values) for name in "nsadq"}
        row |= {f"{name}.sum": math.fsum(values) if values else None for name in "sa"}
        row |= {"l.min": min(values, default=None), "m.max": max(values, default=None), "d.mean": mean}
        row["d.m2"] = math.fsum((value - mean) ** 2 for value in values) if mean is not None and max(values) < 1e100 else None if mean is None else 1e299
        row["q.buckets"] = sorted(Counter(map(bucket, values)).items())
        row["u.registers"] = [register * 64 + 1 for register in range(len(set(values)))]
        for name, value in row.items():
            columns[name].append(value)
    return columns


def checked(columns: dict[str, list[Any]]) -> None:
    schema = LAYOUT.schema()
    check_table(LAYOUT, pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema))


def test_true_states_are_taken_however_odd_their_values() -> None:
    checked(true_states())


LIES: dict[str, Callable[[dict[str, list[Any]]], object]] = {
    "a sum above what the greatest allows": lambda columns: columns["s.sum"].__setitem__(0, 14.0),
    "a sum below what the least allows": lambda columns: columns["s.sum"].__setitem__(0, 2.9),
    "a mean beyond the values": lambda columns: columns["a.sum"].__setitem__(1, -4.0),
    "a deviation beyond the range": lambda columns: columns["d.m2"].__setitem__(0, 10.0),
    "a deviation of equal values": lambda columns: columns["d.m2"].__setitem__(5, 0.1),
    "a least value without values": lambda columns: columns["l.min"].__setitem__(8, 1.0),
    "no greatest value": lambda columns: columns["m.max"].__setitem__(0, None),
    "buckets beyond the greatest": lambda columns: columns["q.buckets"].__setitem__(0, [(bucket(1.0), 2), (bucket(9.0), 1)]),
    "buckets below the least": lambda columns: columns["q.buckets"].__setitem__(6, [(bucket(-9.0), 1), (0, 2), (bucket(7.25), 1)]),
    "values counted in two ways": lambda columns: columns["n.count"].__setitem__(0, 2),
    "more different values than values": lambda columns: columns["u.registers"].__setitem__(1, [65, 129]),
    "no different values of many": lambda columns: columns["u.registers"].__setitem__(0, []),
    "more rows than there can be": lambda columns: columns[GROUP_ROWS].__setitem__(0, 2**60),
}


@pytest.mark.parametrize("lie", LIES)
def test_states_that_cannot_be_true_together_are_refused(lie: str) -> None:
    columns = true_states()
    LIES[lie](columns)
    with pytest.raises(BrokenStates, match="contradict"):
        checked(columns)
