"""Whether the states of one field agree with each other: what is counted, its sum, its mean, its least and greatest value, its sketches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.columns import GROUP_ROWS, Layout, Measure
from shared.datasets.aggregate.sketches import GAMMA, bucket_values

Require = Callable[[bool, str], None]
Numbers = NDArray[np.float64]
MOST_ROWS = 2**53
"""No table has more rows than doubles count exactly."""
MOST_CELLS = 4_000_000
"""Most cells of sketches that a source may send, twice as many as it may compute: a hub sends those of several."""
_SLACK = 1e-9
"""Relative: what the rounding of doubles may take away."""


def check_agreement(layout: Layout, table: pa.Table, require: Require) -> None:
    """Call `require` with what must hold between the states of each field, and a word for the case that it does not.

    Counts that their owner moved on purpose agree with nothing.
    """
    require(bool((np.asarray(table[GROUP_ROWS]) <= MOST_ROWS).all()), "a group has more rows than can be counted")
    require(_cells(layout.measures, table) <= MOST_CELLS, f"the sketches have more than {MOST_CELLS} cells")
    if any(measure.perturbed for measure in layout.measures):
        return
    fields = sorted((measure for measure in layout.measures if measure.field is not None), key=lambda measure: str(measure.field))
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the range of doubles nothing can be compared
        for field, group in groupby(fields, key=lambda measure: measure.field):
            _check_field(str(field), list(group), table, require)


def _cells(measures: Iterable[Measure], table: pa.Table) -> int:
    states = {"quantile": "buckets", "distinct": "registers"}
    sizes = (pc.sum(pc.list_value_length(_listed(table[f"{m.name}.{states[m.fn]}"]))).as_py() or 0 for m in measures if m.fn in states)
    return int(sum(sizes))


def _listed(column: pa.ChunkedArray) -> Any:
    """A map is a list of its entries."""
    if not pa.types.is_map(column.type):
        return column
    whole = column.combine_chunks()
    return pa.ListArray.from_arrays(whole.offsets, whole.keys)


def _check_field(field: str, measures: list[Measure], table: pa.Table, require: Require) -> None:
    counts = [np.asarray(table[f"{measure.name}.count"]) for measure in measures if f"{measure.name}.count" in table.column_names]
    count = counts[0] if counts else None
    require(all((other == count).all() for other in counts[1:]), f"values of {field} are counted differently")
    for measure in measures:
        if count is not None and measure.fn in ("min", "max"):
            there = ~np.asarray(table[f"{measure.name}.{measure.fn}"].is_null())
            require(bool((there == (count > 0)).all()), f"{measure.name}.{measure.fn} is missing, or there although nothing was counted")
        if count is not None and measure.fn == "distinct":
            filled = np.asarray(pc.list_value_length(table[f"{measure.name}.registers"]))
            require(bool(((filled > 0) == (count > 0)).all() and (filled <= count).all()), f"{measure.name} has more values than were counted, or none")
    if measures[0].source in ("integer", "number"):
        _check_bounds(measures, table, require)


def _check_bounds(measures: list[Measure], table: pa.Table, require: Require) -> None:
    """Sums, means, deviations and buckets lie where the least and the greatest value allow."""
    least = next((_numbers(table, f"{measure.name}.min") for measure in measures if measure.fn == "min"), None)
    most = next((_numbers(table, f"{measure.name}.max") for measure in measures if measure.fn == "max"), None)
    if least is None and most is None:
        return
    for measure in measures:
        name = measure.name
        if measure.fn in ("sum", "avg"):
            count = np.asarray(table[f"{name}.count"]).astype(np.float64)
            _within(_numbers(table, f"{name}.sum"), least, most, count, f"{name}.sum", require)
        elif measure.fn == "stddev":
            _within(_numbers(table, f"{name}.mean"), least, most, np.ones(table.num_rows), f"{name}.mean", require)
            count, m2 = np.asarray(table[f"{name}.count"]), _numbers(table, f"{name}.m2")
            if least is not None and most is not None:
                rounding = count * (1e-12 * np.maximum(np.abs(least), np.abs(most))) ** 2
                bound = count * (most - least) ** 2 / 4  # Popoviciu (1935)
                require(not bool((m2 > bound * (1 + 1e-6) + rounding).any()), f"{name}.m2 is greater than the range allows")
        elif measure.fn == "quantile":
            _check_ends(name, least, most, table, require)


def _within(value: Numbers, least: Numbers | None, most: Numbers | None, count: Numbers, name: str, require: Require) -> None:
    for bound, sign, word in ((least, 1.0, "below"), (most, -1.0, "above")):
        if bound is not None:
            slack = _SLACK * np.maximum(np.abs(count * bound), np.abs(value)) * np.maximum(count, 1) ** 0.5
            require(not bool((sign * (count * bound - value) > slack).any()), f"{name} is {word} what its values allow")


def _check_ends(name: str, least: Numbers | None, most: Numbers | None, table: pa.Table, require: Require) -> None:
    """The first and the last bucket are those of the least and the greatest value."""
    buckets = table[f"{name}.buckets"].combine_chunks()
    offsets, keys = np.asarray(buckets.offsets), np.asarray(buckets.keys)
    filled = np.flatnonzero(np.diff(offsets) > 0)
    for bound, place in ((least, offsets[:-1]), (most, offsets[1:] - 1)):
        if bound is not None and len(filled):
            value, stands = bound[filled], bucket_values(keys[place[filled]].astype(np.int64))
            wide = (GAMMA - 1) * np.maximum(np.abs(value), np.abs(stands)) + np.finfo(np.float64).tiny
            require(not bool((np.abs(value - stands) > wide).any()), f"{name}.buckets end elsewhere than the values")


def _numbers(table: pa.Table, name: str) -> Numbers:
    """Values as doubles, NaN where there is none."""
    return np.asarray(pc.fill_null(pc.cast(table[name], pa.float64(), safe=False), float("nan")))
