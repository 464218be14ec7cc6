"""From merged states to the finished answer: values, small groups suppressed, then having, sortby and limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.datasets.aggregate.columns import GROUP_ROWS, Dimension, Measure
from shared.datasets.aggregate.grouping import flattened, offsets_of
from shared.datasets.aggregate.having import holds
from shared.datasets.aggregate.problems import NotFinite, UnknownColumn
from shared.datasets.aggregate.sketches import distinct_counts, quantiles
from shared.datasets.aggregate.states import States


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished answer: one row per group, in the order of its dimensions unless sorted otherwise."""

    dimensions: tuple[Dimension, ...]
    columns: tuple[Mapping[str, Any], ...]
    """Descriptions as in the contract, dimensions first; their names are those of the table."""
    table: pa.Table
    tz: str
    suppressed: int = 0
    hidden: pa.Table | None = None
    """The dimensions of the groups that were suppressed."""


def finish(states: States) -> Finished:
    """The values of every group that is large enough, ordered by the dimensions."""
    layout, table = states.layout, states.table.cast(states.layout.schema())
    kept = pc.or_(pc.greater_equal(table[GROUP_ROWS], states.smallest_group), pc.equal(table[GROUP_ROWS], 0))
    suppressed = table.num_rows - int(pc.sum(pc.cast(kept, pa.int64())).as_py() or 0)
    hidden = table.filter(pc.invert(kept)).select([dimension.name for dimension in layout.dimensions]) if suppressed and layout.dimensions else None
    table = table.filter(kept) if suppressed else table
    columns: dict[str, Any] = {dimension.name: _finite(dimension.of, f"/by/{dimension.name}", table[dimension.name]) for dimension in layout.dimensions}
    columns |= {measure.name: _values(measure, table) for measure in layout.measures}
    described = (*(dimension.column() for dimension in layout.dimensions), *(measure.column() for measure in layout.measures))
    finished = Finished(layout.dimensions, described, pa.table(columns), layout.tz, suppressed, hidden)
    return ordered(finished, ())


def select_rows(finished: Finished, *, having: str | Mapping[str, Any] | None, sortby: Sequence[str], limit: int | None) -> Finished:
    """The rows that `having` keeps, sorted, the first `limit` of them. Nulls come last; ties are broken by the dimensions."""
    table = finished.table
    if having is not None:
        table = table.filter(pc.fill_null(holds(having, finished.columns, table, finished.tz), False))
    if sortby:
        table = ordered(replace(finished, table=table), sortby).table
    return replace(finished, table=table.slice(0, limit) if limit is not None else table)


def ordered(finished: Finished, sortby: Sequence[str]) -> Finished:
    """The rows sorted by columns of the answer (`-` for descending), ties by the dimensions, nulls last."""
    names = [column["name"] for column in finished.columns]
    keys: dict[str, str] = {}
    for position, given in enumerate(sortby):
        name = given.removeprefix("-").removeprefix("+")
        if name not in names:
            raise UnknownColumn(f"The answer has no column {name[:60]!r}; it has {', '.join(names)}.", pointer=f"/sortby/{position}")
        keys.setdefault(name, "descending" if given.startswith("-") else "ascending")
    for dimension in finished.dimensions:
        keys.setdefault(dimension.name, "ascending")
    if not keys:
        return finished
    order = pc.sort_indices(finished.table, sort_keys=[(name, direction, "at_end") for name, direction in keys.items()])
    return replace(finished, table=finished.table.take(order))


def _values(measure: Measure, table: pa.Table) -> Any:
    """The finished values of a measure, null where nothing was measured."""

    def state(kind: str) -> Any:
        return table[f"{measure.name}.{kind}"]

    match measure.fn:
        case "count" | "sum" | "min" | "max":
            found = state(measure.fn)
        case "avg":
            found = pc.divide(pc.cast(state("sum"), pa.float64(), safe=False), pc.cast(state("count"), pa.float64()))
        case "stddev":
            found = _deviation(state("count"), state("m2"))
        case "quantile":
            owner, keys = flattened(state("buckets"), "keys")
            values = quantiles(keys, flattened(state("buckets"), "items")[1], offsets_of(owner, table.num_rows), measure.q or 0.0)
            found = pa.array(values, mask=np.isnan(values))
        case "distinct":
            owner, registers = flattened(state("registers"), "values")
            found = pa.array(distinct_counts(registers, offsets_of(owner, table.num_rows)))
    return _finite(f"{measure.fn} of {measure.field}", f"/measures/{measure.name}", found)


def _deviation(count: Any, m2: Any) -> Any:
    """The sample standard deviation, √(M2 / (n - 1)); null for fewer than two values."""
    freedom = pc.subtract(count, 1)
    enough = pc.greater(freedom, 0)
    return pc.sqrt(pc.divide(m2, pc.cast(pc.if_else(enough, freedom, None), pa.float64())))


def _finite(what: str, pointer: str, values: Any) -> Any:
    """The values, unless one is infinite or no number: JSON knows neither, and leaving it out would be a guess."""
    if pa.types.is_floating(values.type) and pc.all(pc.is_finite(values)).as_py() is False:
        raise NotFinite(f"{what} is infinite or no number in some group.", pointer=pointer)
    return values
