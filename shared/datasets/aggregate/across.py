"""Drill-across: the finished answers of several datasets side by side on the dimensions they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.datasets.aggregate.finish import Finished, ordered
from shared.datasets.aggregate.grouping import group_codes
from shared.datasets.aggregate.problems import InvalidDimension


def side_by_side(parts: Mapping[str, Finished]) -> Finished:
    """One row per cell that any part has, columns `part.measure`, null where a part has no rows in the cell.

    Rows are in the order of the dimensions; `select_rows` filters, sorts and limits them. Raises `InvalidDimension` if the parts
    do not share their dimensions.
    """
    first = next(iter(parts.values()))
    for name, part in parts.items():
        _require_shared(name, part, first)
    dimensions = first.dimensions
    names = [dimension.name for dimension in dimensions]
    cells = pa.concat_tables([pa.table([*(part.table[name] for name in names), pa.nulls(part.table.num_rows)], [*names, ""]) for part in parts.values()])
    codes, position, count = group_codes(cells, names)
    columns: dict[str, Any] = {name: cells[name].take(pa.array(position)) for name in names}
    described = [dimension.column() for dimension in dimensions]
    start = 0
    for name, part in parts.items():
        place = _places(codes[start : start + part.table.num_rows], count)
        start += part.table.num_rows
        for column in part.columns[len(dimensions) :]:
            columns[f"{name}.{column['name']}"] = part.table[column["name"]].take(place)
            described.append({**column, "name": f"{name}.{column['name']}"})
    joined = Finished(dimensions, tuple(described), pa.table(columns), first.tz, sum(part.suppressed for part in parts.values()))
    return ordered(joined, ())


def _require_shared(name: str, part: Finished, first: Finished) -> None:
    for mine, shared in zip(part.dimensions, first.dimensions, strict=True):
        if (mine.name, mine.of, mine.type) != (shared.name, shared.of, shared.type):
            raise InvalidDimension(f"{name} has {mine.of} as a {mine.type}, the first part has {shared.of} as a {shared.type}.", pointer=f"/by/{shared.name}")
    if part.tz != first.tz:
        raise InvalidDimension(f"{name} was cut in {part.tz}, the first part in {first.tz}.", pointer="/tz")


def _places(codes: NDArray[np.int64], count: int) -> Any:
    """For each cell the row of the part that fills it, null for none."""
    place = np.full(count, -1, dtype=np.int64)
    place[codes] = np.arange(len(codes))
    return pa.array(place, mask=place < 0)
