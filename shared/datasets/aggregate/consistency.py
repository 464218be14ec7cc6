"""Whether states can be true: what a source sends is checked before it is merged, and never guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.agreement import check_agreement
from shared.datasets.aggregate.columns import GROUP_ROWS, Layout, Measure
from shared.datasets.aggregate.grouping import number_of_groups
from shared.datasets.aggregate.problems import BrokenStates
from shared.datasets.aggregate.question import MAX_DIMENSIONS, MAX_MEASURES, Question
from shared.datasets.aggregate.sketches import BUCKET_LIMIT, RANK_LIMIT, REGISTER_COUNT


def check_layout(layout: Layout, question: Question | None) -> None:
    """Refuse a layout that is not sound, or not what was asked."""
    names = layout.schema().names
    if len(set(names)) != len(names) or len(layout.measures) > MAX_MEASURES or len(layout.dimensions) > MAX_DIMENSIONS:
        raise BrokenStates("The states announce a column twice, or too many of them.")
    if question is None:
        return
    by = {dimension.name: dimension.of for dimension in layout.dimensions}
    measured = {measure.name: (measure.fn, measure.field, measure.q) for measure in layout.measures}
    asked = {name: (spec.fn, spec.field, spec.q) for name, spec in question.measures.items()}
    if by != dict(question.by) or measured != asked or (question.tz is not None and layout.tz != question.tz):
        raise BrokenStates("The states answer another question than was asked.")


def check_table(layout: Layout, table: pa.Table) -> None:
    """Refuse groups that occur twice and states that contradict each other."""
    rows = _integers(table, GROUP_ROWS)
    _require(bool(layout.dimensions) or len(rows) == 1, "without dimensions there is exactly one group")
    _require(bool((rows >= (1 if layout.dimensions else 0)).all()), "a group has no rows")
    groups = number_of_groups(table, [dimension.name for dimension in layout.dimensions])
    _require(groups == table.num_rows, "a group occurs twice")
    for dimension in layout.dimensions:
        if dimension.type == "number":
            _finite(table, dimension.name)
    for measure in layout.measures:
        _check_measure(measure, table, rows)
    _check_order(layout, table)
    check_agreement(layout, table, _require)


def _check_measure(measure: Measure, table: pa.Table, rows: NDArray[np.int64]) -> None:
    name = measure.name
    if measure.fn in ("min", "max"):
        if measure.source == "number":
            _finite(table, f"{name}.{measure.fn}")
        return
    if measure.fn == "distinct":
        _check_registers(name, table)
        return
    count = _integers(table, f"{name}.count")
    _require(bool(((count >= 0) & (count <= rows)).all()), f"{name}.count is negative or above the number of rows")
    if measure.fn == "count" and measure.field is None:
        _require(bool((count == rows).all()), f"{name}.count is not the number of rows")
    if measure.fn in ("sum", "avg"):
        _nulls_where_empty(table, f"{name}.sum", count)
    if measure.fn == "stddev":
        _nulls_where_empty(table, f"{name}.mean", count)
        _nulls_where_empty(table, f"{name}.m2", count)
        _require(not pc.any(pc.less(table[f"{name}.m2"], 0)).as_py(), f"{name}.m2 is negative")
    if measure.fn == "quantile":
        _check_buckets(name, table, count)


def _check_buckets(name: str, table: pa.Table, count: NDArray[np.int64]) -> None:
    column = _whole(table, f"{name}.buckets")
    keys, counts, offsets = np.asarray(column.keys), np.asarray(column.items), _offsets(column)
    _require(column.items.null_count == 0 and bool((counts > 0).all()), f"{name}.buckets holds a count that is not positive")
    _require(bool((np.abs(keys) <= BUCKET_LIMIT).all()), f"{name}.buckets holds a key that no number has")
    _ascending(name, keys, offsets)
    sums = np.concatenate(([0], np.cumsum(counts)))
    _require(bool((np.diff(sums[offsets]) == count).all()), f"{name}.buckets do not add up to {name}.count")


def _check_registers(name: str, table: pa.Table) -> None:
    column = _whole(table, f"{name}.registers")
    values, offsets = np.asarray(column.values), _offsets(column)
    _require(column.values.null_count == 0, f"{name}.registers holds null")
    _require(bool(((values >> 6 >= 0) & (values >> 6 < REGISTER_COUNT)).all()), f"{name}.registers holds a register that does not exist")
    _require(bool(((values & 63 >= 1) & (values & 63 <= RANK_LIMIT)).all()), f"{name}.registers holds a rank that does not exist")
    _ascending(name, values >> 6, offsets)


def _check_order(layout: Layout, table: pa.Table) -> None:
    """The least of a field is not above its greatest, and one is there if the other is."""
    least = {measure.field: f"{measure.name}.min" for measure in layout.measures if measure.fn == "min"}
    for measure in layout.measures:
        if measure.fn == "max" and measure.field in least:
            low, high = table[least[measure.field]], table[f"{measure.name}.max"]
            _require(not pc.any(pc.greater(low, high)).as_py(), f"{least[measure.field]} is above {measure.name}.max")
            _require(low.is_null().equals(high.is_null()), f"{least[measure.field]} is there without {measure.name}.max, or the reverse")


def _ascending(name: str, keys: NDArray[Any], offsets: NDArray[np.int64]) -> None:
    """Within each group, every key is above the one before."""
    steps = np.diff(keys) > 0
    first = offsets[1:-1]
    steps[first[(first > 0) & (first < len(keys))] - 1] = True
    _require(bool(steps.all()), f"the cells of {name} are not in ascending order")


def _nulls_where_empty(table: pa.Table, name: str, count: NDArray[np.int64]) -> None:
    there = count > 0
    right = bool((np.asarray(table[name].is_valid()) == there).all()) if table[name].null_count else bool(there.all())
    _require(right, f"{name} is missing, or there although nothing was counted")
    if pa.types.is_floating(table[name].type):
        _finite(table, name)


def _finite(table: pa.Table, name: str) -> None:
    _require(pc.all(pc.is_finite(table[name])).as_py() is not False, f"{name} is not finite")


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    _require(table[name].null_count == 0, f"{name} is missing in a group")
    return np.asarray(table[name])


def _whole(table: pa.Table, name: str) -> Any:
    """A nested column in one piece."""
    _require(table[name].null_count == 0, f"{name} is missing in a group")
    return table[name].combine_chunks()


def _offsets(column: Any) -> NDArray[np.int64]:
    return np.asarray(column.offsets).astype(np.int64)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenStates(f"The states contradict themselves: {otherwise}.")
