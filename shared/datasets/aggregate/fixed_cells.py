"""Aggregates of personal data: counts of persons in the tables that their dataset declares, perturbed before they leave their owner.

Nothing else is answered: no filter, box, past moment or part of a period that would cut a cell, no value of a single person.
`having`, `sortby` and `limit` come after the perturbation, so they tell nothing that the answer without them does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy import ColumnElement, Select, cast, func, literal_column, select
from sqlalchemy import Text as Words
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.caller import Caller
from shared.config import Settings
from shared.datasets.aggregate.cell_noise import key_of, perturbed
from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.compile import condition, key, source_of
from shared.datasets.aggregate.problems import FixedCellsOnly, TooManyCells
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.declaration import Dataset
from shared.datasets.view import View
from shared.vocabulary import AreaLevel, Personal

CELLS = "cells"
"""What the coverage says they are served from."""


def personal(dataset: Dataset) -> bool:
    """Whether aggregates of a dataset are answered in fixed cells only."""
    return dataset.cells is not None or dataset.personal is not Personal.NONE


def refuse_personal_fields(layout: Layout, dataset: Dataset) -> None:
    """Raise `FixedCellsOnly` if an ordinary dataset is to be grouped by, or measured on, one of its personal fields: that would be single persons' values."""
    lent = {"area": dataset.area, "time": dataset.time}
    used = {f"/by/{one.name}": lent.get(one.of.partition(":")[0]) if ":" in one.of else one.of for one in layout.dimensions}
    used |= {f"/measures/{one.name}/field": one.field for one in layout.measures}
    for pointer, name in used.items():
        field = dataset.field(name or "")
        if field is not None and dataset.personal_of(field) is not Personal.NONE:
            raise FixedCellsOnly(f"{field.name!r} of {dataset.id} is personal: it is neither measured nor grouped by.", pointer=pointer)


def check_cells(question: Question, layout: Layout, dataset: Dataset, caller: Caller, settings: Settings) -> None:
    """Raise `FixedCellsOnly` unless the question asks for counts in one of the declared tables, in whole cells."""
    tables = dataset.cells.tables if dataset.cells else ()
    by = [dimension.of for dimension in layout.dimensions]
    if not any(sorted(by) == sorted(table) for table in tables):
        offered = "; ".join("by " + ", ".join(table) if table else "in all" for table in tables) or "none"
        raise FixedCellsOnly(f"{dataset.id} is personal and answered in these tables only: {offered}.", pointer="/by")
    for measure in layout.measures:
        if measure.fn != "count" or measure.field is not None:
            raise FixedCellsOnly(f"{dataset.id} is personal: only its persons are counted.", pointer=f"/measures/{measure.name}")
    for name in ("filter", "bbox", "datetime", "known_at"):
        if getattr(question, name) is not None:
            raise FixedCellsOnly(f"{dataset.id} is personal: {name} would cut its cells.", pointer=f"/{name}")
    _check_times(question, layout, dataset, settings.timezone)
    _check_areas(by, dataset, caller)


def _check_times(question: Question, layout: Layout, dataset: Dataset, timezone: str) -> None:
    """`from` and `until` choose among whole cells, so they lie where cells begin."""
    if layout.tz != timezone:
        raise FixedCellsOnly(f"{dataset.id} is personal: its days are those of {timezone}.", pointer="/tz")
    units = [dimension.of.partition(":")[2] for dimension in layout.dimensions if dimension.of.startswith("time:")]
    for name, moment in (("from", question.from_), ("until", question.until)):
        if moment is not None and not (units and all(_begins(moment, unit, timezone) for unit in units)):
            raise FixedCellsOnly(f"{dataset.id} is personal: {name} must be the beginning of one of its cells.", pointer=f"/{name}")


def _begins(moment: datetime, unit: str, timezone: str) -> bool:
    local = moment.astimezone(ZoneInfo(timezone))
    if (local.hour, local.minute, local.second, local.microsecond) != (0, 0, 0, 0):
        return False
    return {"day": True, "week": local.weekday() == 0, "month": local.day == 1, "year": (local.month, local.day) == (1, 1)}.get(unit, False)


def _check_areas(by: Sequence[str], dataset: Dataset, caller: Caller) -> None:
    """Rights may take whole cells away, but not parts of them: different askers would see differently cut cells, and compare."""
    if caller.everywhere:
        return
    digits = max((AreaLevel(of.partition(":")[2]).digits for of in by if of.startswith("area:")), default=0)
    if any(len(area) > digits for area in caller.areas):
        raise FixedCellsOnly(f"{dataset.id} is personal: ask for areas no larger than those of your rights.", pointer="/by")


async def perturbed_table(connection: AsyncConnection, question: Question, layout: Layout, view: View, settings: Settings) -> pa.Table:
    """The states of the cells, perturbed; cells that are empty then are left out."""
    rows = (await connection.execute(_statement(question, layout, view))).fetchall()
    if len(rows) > MAX_ROWS:
        raise TooManyCells(f"The answer has more than {MAX_ROWS} groups.", bound=MAX_ROWS)
    path: Path = settings.cells_key or settings.cache_dir / f"{settings.service}-cells.key"
    return await asyncio.to_thread(_table, rows, layout, view.dataset.id, path)


def _statement(question: Question, layout: Layout, view: View) -> Select[Any]:
    """For each cell the number of persons, and two sums of hashes, by which two cells with the same persons are recognised."""
    source, areas = source_of(layout, view)
    keys = [key(dimension, layout.tz, view, areas).label(f"k{place}") for place, dimension in enumerate(layout.dimensions)]
    persons = select(*keys, _person(view).label("person")).select_from(source).where(condition(question, layout, view)).distinct().subquery("persons")
    cells = [persons.c[f"k{place}"] for place in range(len(keys))]
    hashes = [cast(func.coalesce(func.sum(func.hashtextextended(persons.c.person, literal_column(seed))), 0), Words) for seed in ("0", "1")]
    return select(*cells, func.count(), *hashes).group_by(*cells).limit(MAX_ROWS + 1)


def _person(view: View) -> ColumnElement[Any]:
    """Who a row is about: by the declared column, or the row itself."""
    row = func.concat_ws("~", *(cast(column, Words) for column in view.keys))
    named = view.dataset.cells.person if view.dataset.cells else None
    return func.coalesce(cast(view.dataset.table.c[named], Words), func.concat("~", row)) if named else row


def _table(rows: Sequence[Any], layout: Layout, dataset: str, path: Path) -> pa.Table:
    secret, schema, width = key_of(path), layout.schema(), len(layout.dimensions)
    shown = [(*row[:width], perturbed(secret, dataset, f"{row[-2]}/{row[-1]}", row[width])) for row in rows]
    columns = list(zip(*(row for row in shown if row[-1] > 0 or not width), strict=True)) or [()] * (width + 1)
    states = dict(zip([*schema.names[:width], GROUP_ROWS], columns, strict=True))
    states |= {f"{measure.name}.count": columns[-1] for measure in layout.measures}
    return pa.table({name: pa.array(states[name], schema.field(name).type) for name in schema.names}, schema=schema)


def as_perturbed(layout: Layout) -> Layout:
    """The layout whose counts say that they are perturbed."""
    return replace(layout, measures=tuple(replace(measure, perturbed=True) for measure in layout.measures))
