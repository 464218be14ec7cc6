"""Many sources, one answer: states merged exactly, in whatever order they came.

Counts, integer sums, minima, maxima, buckets and registers merge without any error. Floating sums are added in the order of
the sources' names with Neumaier's compensation, so the result does not depend on the order in which they came; means and M2 merge
by Chan, Golub and LeVeque (1979) over all sources of a group at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.columns import BUCKETS, GROUP_ROWS, REGISTERS, Layout, Measure
from shared.datasets.aggregate.grouping import coded, filled, flattened, offsets_of
from shared.datasets.aggregate.problems import BrokenStates, NotFinite, TooManyCells
from shared.datasets.aggregate.question import MAX_ROWS
from shared.datasets.aggregate.sketching import combined
from shared.datasets.aggregate.slots import shared, slots_of
from shared.datasets.aggregate.states import States

_LARGEST = float(2**63)
_EXACT = float(2**53)


class _Groups:
    """The rows of all sources in groups; no source has a group twice (`States`). Sums are made in slots, of which `kept` leaves the groups."""

    def __init__(self, tables: Sequence[pa.Table], names: Sequence[str]) -> None:
        self._tables = [coded(table, names) for table in tables]
        self._dimensions = {name: shared([table[name] for table in self._tables]) for name in names}
        self.slots = slots_of(self._dimensions, [table.num_rows for table in tables])
        self.count = len(self.slots.taken)
        self._sums: list[tuple[list[NDArray[np.int64]], NDArray[np.int64]]] = []

    def dimension(self, name: str) -> Any:
        """The value of each group."""
        return self.slots.dimension(name, self._dimensions[name])

    def kept(self, values: NDArray[Any], *, without: NDArray[np.bool_] | None = None) -> Any:
        """The values of the slots that are groups, null where one is `without`."""
        return pa.array(values[self.slots.taken], mask=None if without is None else without[self.slots.taken])

    def column(self, name: str) -> pa.ChunkedArray:
        """A state of all rows."""
        return pa.chunked_array([chunk for table in self._tables for chunk in table[name].chunks], self._tables[0].schema.field(name).type)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.slots.groups, kind="stable")

    @cached_property
    def ascending(self) -> NDArray[np.int32]:
        """The groups in the order of `together`."""
        return self.slots.groups[self._order].astype(np.int32)

    def together(self, name: str) -> pa.ChunkedArray:
        """A column with the rows of each group together; `ascending` are their groups."""
        return self.column(name).take(pa.array(self._order))

    def of_each(self, name: str) -> list[NDArray[Any]]:
        """The values of a state of each source, 0 where there is none."""
        return [filled(table[name], 0) for table in self._tables]

    def integers(self, name: str) -> NDArray[np.int64]:
        """The sum of an integer state over each slot."""
        values = self.of_each(name)
        for known, total in self._sums:
            if all(map(np.array_equal, known, values)):  # as the counts of one field often are those of the rows
                return total
        most = max((max(abs(int(part.max())), abs(int(part.min()))) for part in values if len(part)), default=0)
        if most * len(values) >= _LARGEST:
            self._check_size(name, values)
        total = np.zeros(self.slots.count, dtype=np.int64)
        for codes, part in zip(self.slots.codes, values, strict=True):
            total[codes] += part  # of one source no group is there twice
        self._sums.append((values, total))
        return total

    def _check_size(self, name: str, values: Sequence[NDArray[np.int64]]) -> None:
        sizes = np.bincount(self.slots.whole, np.concatenate(values).astype(np.float64), self.slots.count)
        if np.abs(sizes).max(initial=0) >= _LARGEST * 0.999:
            raise NotFinite(f"The sum {name} is too large for 64 bits.")

    def floats(self, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """The compensated sum of each source's values over each slot, added in the order of the sources."""
        total, lost = np.zeros(self.slots.count), np.zeros(self.slots.count)
        for slots, given in zip(self.slots.codes, values, strict=True):
            codes, part = self._spread(slots, given)
            before = total[codes]
            after = before + part
            taken = after - before
            lost[codes] += (before - (after - taken)) + (part - taken)  # what rounding took, exactly (Knuth)
            total[codes] = after
        return total + lost

    def _spread(self, codes: NDArray[np.int64], part: NDArray[np.float64]) -> tuple[NDArray[np.int64] | slice, NDArray[np.float64]]:
        """Where values belong, and the values: of all slots, 0 for those without one, if most have one, as neighbours are added several at a time."""
        if 2 * len(codes) < self.slots.count:
            return codes, part
        whole = np.zeros(self.slots.count)
        whole[codes] = part
        return slice(None), whole

    def extreme(self, name: str, direction: str) -> Any:
        """The least or greatest value of each group, null where all are."""
        column = self.column(name)
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            return self._extreme_number(column, direction)
        keyed = pa.table({"group": self.slots.groups, "value": column})
        order = pc.sort_indices(keyed, sort_keys=[("group", "ascending", "at_end"), ("value", direction, "at_end")])
        first = np.searchsorted(self.slots.groups[np.asarray(order)], np.arange(self.count))
        return column.take(order).take(pa.array(first))

    def _extreme_number(self, column: pa.ChunkedArray, direction: str) -> Any:
        kind: Any = column.type.to_pandas_dtype()
        bounds = np.iinfo(kind) if pa.types.is_integer(column.type) else np.finfo(kind)
        better, worst = (np.minimum, bounds.max) if direction == "ascending" else (np.maximum, bounds.min)
        best, missing = np.full(self.slots.count, worst, kind), np.ones(self.slots.count, bool)
        better.at(best, self.slots.whole, filled(column, worst))
        missing[self.slots.whole[np.asarray(column.is_valid())]] = False
        return self.kept(best, without=missing)


def merge_states(sources: Sequence[States]) -> States:
    """One set of states from several of the same layout.

    Raises `BrokenStates` if the layouts differ, or if the same source's rows are in two of them, which would count them twice.
    """
    first = sources[0]
    if any(states.layout != first.layout for states in sources):
        raise BrokenStates("The sources describe their columns differently.")
    answers = tuple(answer for states in sources for answer in states.answers)
    if len({(answer.source, answer.dataset) for answer in answers}) != len(answers):
        raise BrokenStates("The same source answered twice.")
    layout = first.layout
    if len(sources) == 1:
        return first
    sources = sorted(sources, key=lambda states: [(answer.source, answer.dataset) for answer in states.answers])
    groups = _Groups([states.table for states in sources], [dimension.name for dimension in layout.dimensions])
    if groups.count > MAX_ROWS:
        raise TooManyCells(f"The sources together have {groups.count} groups; at most {MAX_ROWS} are answered.")
    with np.errstate(over="ignore", invalid="ignore"):  # what leaves the range of doubles becomes infinite, and is refused when finished
        table = _merged(layout, groups)
    return States(layout, table, answers, max(states.smallest_group for states in sources))


def _merged(layout: Layout, groups: _Groups) -> pa.Table:
    schema = layout.schema()
    columns: dict[str, Any] = {name: groups.dimension(name).cast(schema.field(name).type) for name in (one.name for one in layout.dimensions)}
    columns[GROUP_ROWS] = groups.kept(groups.integers(GROUP_ROWS))
    for measure in layout.measures:
        columns |= {f"{measure.name}.{kind}": value for kind, value in _measure(measure, groups).items()}
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _measure(measure: Measure, groups: _Groups) -> dict[str, Any]:
    name = measure.name
    match measure.fn:
        case "min":
            return {"min": groups.extreme(f"{name}.min", "ascending")}
        case "max":
            return {"max": groups.extreme(f"{name}.max", "descending")}
        case "distinct":
            return {"registers": _registers(f"{name}.registers", groups)}
    count = groups.integers(f"{name}.count")
    counted = {"count": groups.kept(count)}
    match measure.fn:
        case "sum" | "avg":
            return counted | {"sum": groups.kept(_sum(measure, groups), without=count == 0)}
        case "stddev":
            return counted | _moments(name, groups, count)
        case "quantile":
            return counted | {"buckets": _buckets(f"{name}.buckets", groups)}
    return counted


def _sum(measure: Measure, groups: _Groups) -> NDArray[Any]:
    state = f"{measure.name}.sum"
    return groups.integers(state) if measure.source == "integer" else groups.floats(groups.of_each(state))


def _moments(name: str, groups: _Groups, count: NDArray[np.int64]) -> dict[str, Any]:
    """Chan's formula: mean = Σ nᵢ mᵢ / n, M2 = Σ M2ᵢ + Σ nᵢ (mᵢ - mean)², with the m taken from a common origin."""
    part, mean, m2 = (np.concatenate(groups.of_each(f"{name}.{state}")) for state in ("count", "mean", "m2"))
    slots = groups.slots
    origin = np.full(slots.count, np.inf)
    np.minimum.at(origin, slots.whole, np.where(part > 0, mean, np.inf))
    origin = np.where(np.isfinite(origin), origin, 0.0)
    away = mean - origin[slots.whole]
    shift = groups.floats(slots.apart(np.where(part > 0, part * away, 0.0))) / np.maximum(count, 1)
    spread = groups.floats(slots.apart(np.where(part > 0, m2 + part * (away - shift[slots.whole]) ** 2, 0.0)))
    return {"mean": groups.kept(origin + shift, without=count == 0), "m2": groups.kept(spread, without=count == 0)}


def _buckets(state: str, groups: _Groups) -> Any:
    column = groups.together(state)
    owner, keys = flattened(column, "keys")
    counts = flattened(column, "items")[1]
    if counts.sum(dtype=np.float64) >= _EXACT:
        raise NotFinite(f"The buckets of {state} count more values than can be added exactly.")

    def add(cells: NDArray[np.int64], part: slice, size: int) -> NDArray[np.int64]:
        return np.bincount(cells, counts[part], size).astype(np.int64)

    group, key, total = combined(groups.ascending[owner], keys, groups.count, add)
    return pa.MapArray.from_arrays(offsets_of(group, groups.count).astype(np.int32), key.astype(np.int32), total).cast(BUCKETS)


def _registers(state: str, groups: _Groups) -> Any:
    owner, packed = flattened(groups.together(state), "values")

    def greatest(cells: NDArray[np.int64], part: slice, size: int) -> NDArray[np.int64]:
        best = np.zeros(size, dtype=np.int64)
        np.maximum.at(best, cells, packed[part] & 63)
        return best

    group, register, rank = combined(groups.ascending[owner], packed >> 6, groups.count, greatest)
    return pa.ListArray.from_arrays(offsets_of(group, groups.count).astype(np.int32), (register * 64 + rank).astype(np.int32)).cast(REGISTERS)
