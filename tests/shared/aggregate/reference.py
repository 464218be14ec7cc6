"""States computed by pandas and plain Python, to compare with and to feed the merge."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from shared.datasets.aggregate.columns import GROUP_ROWS, Dimension, Layout, Measure
from shared.datasets.aggregate.sketches import BUCKET_OFFSET, GAMMA, RANKED_BITS
from shared.datasets.aggregate.states import States
from shared.datasets.coverage import SourceAnswer

AS_OF = datetime(2026, 11, 22, 8, tzinfo=UTC)


def source_answer(source: str = "430300/fire", dataset: str = "fire.calls", rows: int = 0) -> SourceAnswer:
    return SourceAnswer(source=source, dataset=dataset, status="ok", rows=rows, as_of=AS_OF, elapsed_ms=1, served_from="rows")


def bucket_key(value: float) -> int:
    """The log bucket of one value, by the definition in `sketches`."""
    if value == 0:
        return 0
    key = math.ceil(math.log(abs(value)) / math.log(GAMMA)) + BUCKET_OFFSET
    return key if value > 0 else -key


def registers_of(hashes: np.ndarray) -> np.ndarray:
    """The registers of 64-bit hashes, packed as in the states."""
    low = hashes & np.uint64((1 << RANKED_BITS) - 1)
    rank = RANKED_BITS + 1 - np.array([int(bits).bit_length() for bits in low])
    best = pd.Series(rank).groupby((hashes >> np.uint64(54)).astype(np.int64)).max()
    packed: np.ndarray = best.index.to_numpy() * 64 + best.to_numpy()
    return packed


def states_of(rows: pd.DataFrame, layout: Layout, source: str = "430300/fire") -> States:
    """The states of these rows, group by group."""
    names = [dimension.name for dimension in layout.dimensions]
    groups: list[tuple[tuple[Any, ...], pd.DataFrame]] = [((), rows)]
    if names:
        groups = [(key if isinstance(key, tuple) else (key,), part) for key, part in rows.groupby(names, dropna=False)]
    found = [dict(zip(names, map(_none, key), strict=True)) | {GROUP_ROWS: len(part)} | _states(part, layout.measures) for key, part in groups]
    schema = layout.schema()
    table = pa.table({name: [row[name] for row in found] for name in schema.names}, schema=schema)
    return States(layout, table, (source_answer(source, rows=len(rows)),))


def _none(value: Any) -> Any:
    return None if pd.isna(value) else value


def _states(part: pd.DataFrame, measures: Sequence[Measure]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure in measures:
        values = part[measure.field].dropna() if measure.field else part
        found |= {name: _STATES[name.rpartition(".")[2]](values) for name in measure.states()}
    return found


def _sum(values: Any) -> Any:
    if not len(values):
        return None
    return sum(int(value) for value in values) if pd.api.types.is_integer_dtype(values.dtype) else math.fsum(values)


def _m2(values: Any) -> float | None:
    if not len(values):
        return None
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _buckets(values: Any) -> list[tuple[int, int]]:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_key(value)] = counts.get(bucket_key(value), 0) + 1
    return sorted(counts.items())


_STATES: dict[str, Callable[[Any], Any]] = {
    "count": len,
    "sum": _sum,
    "min": lambda values: values.min() if len(values) else None,
    "max": lambda values: values.max() if len(values) else None,
    "mean": lambda values: math.fsum(values) / len(values) if len(values) else None,
    "m2": _m2,
    "buckets": _buckets,
}


def layout_of(*measures: Measure, by: Sequence[str] = ("place", "kind"), tz: str = "Asia/Shanghai") -> Layout:
    return Layout(tuple(Dimension(name, name, "string") for name in by), measures, tz)
