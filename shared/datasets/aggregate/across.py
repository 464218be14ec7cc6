"""Drill-across: the finished answers of several datasets side by side on the dimensions they share, zeros told from what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.datasets.aggregate.finish import Finished, ordered
from shared.datasets.aggregate.grouping import group_codes, rows_of_groups
from shared.datasets.aggregate.problems import InvalidDimension
from shared.datasets.declaration import Dataset, Field

STATUSES = ("ok", "partial", "empty", "suppressed", "unanswered", "outside")
"""How a part stands in a cell: it has rows there; it has, and not all that it could have; every source answered and has none, so that
a count of 0 is true; its group is too small to be shown; a source did not answer, so nobody knows; the cell lies outside what it keeps."""
_COUNTS = ("count", "distinct")


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands with a dataset as a whole: whether all of its sources answered, and from when to when it could have rows."""

    whole: bool = True
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of an answer: every one in which any part shows rows."""

    dimensions: pa.Table
    shown: Mapping[str, NDArray[np.int64]]
    """For each cell the row of a part that fills it, -1 for none."""
    hidden: Mapping[str, NDArray[np.bool_]]
    """Whether a part has a group there that is too small."""

    @property
    def count(self) -> int:
        return next(iter(self.shown.values())).size


def require_shared(by: Mapping[str, str], parts: Mapping[str, tuple[Dataset, Mapping[str, Field]]]) -> None:
    """Raise `InvalidDimension` unless every part has every dimension; each part is a dataset with the fields that the asker sees of it."""
    for name, of in by.items():
        having = {part: kind for part, (dataset, fields) in parts.items() if (kind := _kind(of, dataset, fields)) is not None}
        lacking = [part for part in parts if part not in having]
        if lacking and having:
            shared = sorted(set.intersection(*({name for name in fields if _kind(name, dataset, fields)} for dataset, fields in parts.values())))
            everywhere = [of for of in ("area:<level>", "time:<unit>") if all(_kind(of, *part) for part in parts.values())]
            said = f"{of[:60]!r} is shared by {', '.join(sorted(having))}, not by {', '.join(sorted(lacking))}. "
            raise InvalidDimension(said + f"All parts share: {', '.join([*everywhere, *shared]) or 'nothing'}.", pointer=f"/by/{name}")
        if len(set(having.values())) > 1:
            kinds = ", ".join(f"in {part} a {kind}" for part, kind in sorted(having.items()))
            raise InvalidDimension(f"{of[:60]!r} does not mean the same everywhere: {kinds}.", pointer=f"/by/{name}")


def _kind(of: str, dataset: Dataset, fields: Mapping[str, Field]) -> str | None:
    """The type of a dimension in a dataset, None if it has none such."""
    kind, separator, _ = of.partition(":")
    if separator:
        place = {"area": dataset.area, "time": dataset.time}.get(kind)
        return kind if place in fields else None
    return fields[of].type if of in fields else None


def side_by_side(parts: Mapping[str, Finished], standing: Mapping[str, Standing] | None = None) -> Finished:
    """One row per cell that any part has, columns `part.measure` and, after all of these, `part.status` (`STATUSES`).

    Where a part has no rows, counts are 0 if that is certain (`empty`) and everything else is null. Rows are in the order of the
    dimensions; `select_rows` filters, sorts and limits them. Raises `InvalidDimension` if the parts do not share their dimensions.
    """
    first = next(iter(parts.values()))
    for name, part in parts.items():
        _require_alike(name, part, first)
    cells = _cells(parts, [dimension.name for dimension in first.dimensions])
    columns: dict[str, Any] = {dimension.name: cells.dimensions[dimension.name] for dimension in first.dimensions}
    described: list[Mapping[str, Any]] = [dimension.column() for dimension in first.dimensions]
    statuses = {name: _status(part, (standing or {}).get(name, Standing()), cells, name) for name, part in parts.items()}
    for name, part in parts.items():
        place = pa.array(cells.shown[name], mask=cells.shown[name] < 0)
        for column in part.columns[len(first.dimensions) :]:
            values = part.table[column["name"]].take(place).combine_chunks()
            known = pa.array(statuses[name] == "empty")
            columns[f"{name}.{column['name']}"] = _with_zeros(values, known) if column["fn"] in _COUNTS else values
            described.append({**column, "name": f"{name}.{column['name']}"})
    for name, status in statuses.items():
        columns[f"{name}.status"] = pa.array(status.tolist(), pa.string())
        described.append({"name": f"{name}.status", "type": "string", "role": "status", "of": name})
    joined = Finished(first.dimensions, tuple(described), pa.table(columns), first.tz, sum(part.suppressed for part in parts.values()))
    return ordered(joined, ())


def _with_zeros(values: Any, known: Any) -> Any:
    """0 where it is certain that there is nothing."""
    return pc.if_else(known, pa.scalar(0, values.type), values)


def _require_alike(name: str, part: Finished, first: Finished) -> None:
    for mine, shared in zip(part.dimensions, first.dimensions, strict=True):
        if (mine.name, mine.of, mine.type) != (shared.name, shared.of, shared.type):
            raise InvalidDimension(f"{name} has {mine.of} as a {mine.type}, the first part has {shared.of} as a {shared.type}.", pointer=f"/by/{shared.name}")
    if part.tz != first.tz:
        raise InvalidDimension(f"{name} was cut in {part.tz}, the first part in {first.tz}.", pointer="/tz")


def _cells(parts: Mapping[str, Finished], names: list[str]) -> _Cells:
    shown = [_keys(part.table, names) for part in parts.values()]
    hidden = [_keys(part.table.slice(0, 0) if part.hidden is None else part.hidden, names) for part in parts.values()]
    together = pa.concat_tables([*shown, *hidden])
    codes, count = group_codes(together, names)
    seen = np.zeros(count, dtype=bool)
    seen[codes[: sum(table.num_rows for table in shown)]] = True
    renumbered = np.cumsum(seen) - 1
    places, small, start = {}, {}, 0
    for name, table in zip([*parts, *parts], [*shown, *hidden], strict=True):
        mine = codes[start : start + table.num_rows]
        if name not in places:
            places[name] = np.full(int(seen.sum()), -1, dtype=np.int64)
            places[name][renumbered[mine]] = np.arange(len(mine))
        else:
            small[name] = np.zeros(int(seen.sum()), dtype=bool)
            small[name][renumbered[mine[seen[mine]]]] = True
        start += table.num_rows
    return _Cells(together.select(names).take(pa.array(rows_of_groups(codes, count)[seen])), places, small)


def _keys(table: pa.Table, names: list[str]) -> pa.Table:
    """The dimensions, and a column without values so that a table without dimensions still has its rows."""
    return pa.table([*(table[name] for name in names), pa.nulls(table.num_rows)], [*names, ""])


def _status(part: Finished, standing: Standing, cells: _Cells, name: str) -> NDArray[np.str_]:
    there = cells.shown[name] >= 0
    late, early = _beyond(part, standing, cells)
    missing = np.where(early | late, "outside", "empty" if standing.whole else "unanswered")
    perturbed = any("perturbed" in column for column in part.columns)
    missing = np.where(cells.hidden[name] | (perturbed and standing.whole), "suppressed", missing)
    return np.where(there, np.where(early | (not standing.whole), "partial", "ok"), missing)


def _beyond(part: Finished, standing: Standing, cells: _Cells) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which cells begin after the part's data end, and which before its data begin."""
    late, early = np.zeros(cells.count, dtype=bool), np.zeros(cells.count, dtype=bool)
    for dimension in part.dimensions:
        if dimension.of.startswith("time:"):
            begins = np.asarray(cells.dimensions[dimension.name].cast(pa.int64()).fill_null(0))
            known = np.asarray(cells.dimensions[dimension.name].is_valid())
            late |= known & (begins > int(standing.until.timestamp() * 1e6)) if standing.until else False
            early |= known & (begins < int(standing.since.timestamp() * 1e6)) if standing.since else False
    return late, early
