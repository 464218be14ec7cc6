"""Merges a batch of areas into the master table, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text

from services.hub.areas.domain import Area, Fault, fault_of, level_of, parent_of, parents_first, with_ancestors
from services.hub.areas.geometry import BadShape, checked
from services.hub.areas.schemas import AreaIn
from shared.area_codes import LEVELS, gb_parent
from shared.area_copy import MERGE, ONE_AT_A_TIME
from shared.areas import STATED, areas
from shared.row_models import Checked
from shared.vocabulary import AreaLevel


@dataclass(slots=True)
class Outcome:
    """What became of the rows, by their numbers."""

    taken: list[int] = field(default_factory=list)
    corrected: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


async def merge_areas(session: AsyncSession, batch: Checked[AreaIn], *, recorded_by: str, correct: bool) -> Outcome:
    """Take what is sound, reject the rest with reasons; parents may be in the same batch. One batch at a time."""
    await session.execute(ONE_AT_A_TIME)
    outcome = Outcome()
    _refuse_contradictions(batch, outcome)
    table = await _recorded(session, batch.rows.values())
    with_children = await _with_children(session, batch.rows.values())
    written = []
    for number, area in parents_first(_completed(batch, table, outcome)):
        before, parent = table.get(area.code), table.get(area.parent) if area.parent else None
        fault = fault_of(area, parent) or (_moved(before, area) if area.code in with_children else None)
        if fault:
            batch.reject(number, fault.member, fault.code, fault.detail)
            continue
        placed = with_ancestors(area, parent)
        if before == placed:
            outcome.duplicates.append(number)
        elif before and not correct and (differing := _contradicted(before, placed)):
            batch.reject(number, "", "conflict", f"{area.code} is recorded with another {differing}. Send it with correct=true if that was wrong.")
        else:
            (outcome.corrected if before else outcome.taken).append(number)
            table[area.code] = placed
            written.append(placed)
    if written:
        await session.execute(MERGE, {"rows": orjson.dumps([_as_row(area) for area in written]).decode(), "recorded_by": recorded_by})
    return outcome


def _refuse_contradictions(batch: Checked[AreaIn], outcome: Outcome) -> None:
    """One row for each code: equal repetitions are duplicates, different ones are all rejected."""
    by_code: dict[str, list[int]] = {}
    for number, row in batch.rows.items():
        by_code.setdefault(row.code, []).append(number)
    for code, numbers in by_code.items():
        if len({batch.rows[number].model_dump_json() for number in numbers}) > 1:
            for number in numbers:
                batch.reject(number, "code", "contradictory", f"The batch has {code} twice with different values. Send only the right one.")
        for number in numbers[1:]:
            if batch.rows.pop(number, None):
                outcome.duplicates.append(number)


def _completed(batch: Checked[AreaIn], table: Mapping[str, Area], outcome: Outcome) -> Iterable[tuple[int, Area]]:
    """Each row with what it leaves unstated: recorded before, or told by the code."""
    found = []
    for number, row in list(batch.rows.items()):
        stated = {name: getattr(row, name) for name in row.model_fields_set & set(STATED)}
        before = table.get(row.code)
        level = level_of(row.code, row.level or (before.level if before else None))
        if level is None:
            batch.reject(number, "level", "level", "The level does not follow from this code; state it.")
            continue
        if stated.get("geometry"):
            try:
                stated["geometry"], stated["bbox"], repaired = checked(stated["geometry"])
            except BadShape as error:
                batch.reject(number, "geometry", "geometry", str(error))
                continue
            outcome.repaired += [row.code] * repaired
        elif "geometry" in stated:
            stated["bbox"] = None
        if before:
            found.append((number, replace(before, **(stated | {"level": level}))))
        else:
            parent = parent_of(row.code, row.parent, "parent" in stated)
            found.append((number, Area(row.code, **(stated | {"level": level, "parent": parent}))))
    return found


def _moved(before: Area | None, area: Area) -> Fault | None:
    """An area with others below it keeps its place: theirs hangs on it."""
    if before and (before.parent, before.level) != (area.parent, area.level):
        return Fault("parent", "has-children", "It holds other areas, so its parent and level cannot change. End its validity and give a new code.")
    return None


def _contradicted(before: Area, placed: Area) -> str:
    """What is recorded otherwise; what was not recorded at all (a polygon, a name in English) may be added at any time."""
    return ", ".join(name for name in STATED if getattr(before, name) not in (None, getattr(placed, name)))


async def _recorded(session: AsyncSession, rows: Iterable[AreaIn]) -> dict[str, Area]:
    """What the table holds of these areas and of their parents."""
    codes = {code for row in rows for code in (row.code, row.parent, gb_parent(row.code)) if code}
    columns = [areas.c.code, *(areas.c[name] for name in STATED), areas.c.extent, *(areas.c[level] for level in LEVELS)]
    found = await session.execute(select(*columns).where(areas.c.code == any_(literal(list(codes), ARRAY(Text)))))
    return {row.code: _as_area(row._mapping) for row in found}


async def _with_children(session: AsyncSession, rows: Iterable[AreaIn]) -> set[str]:
    codes = [row.code for row in rows]
    return set(await session.scalars(select(areas.c.parent).distinct().where(areas.c.parent == any_(literal(codes, ARRAY(Text))))))


def _as_area(row: Mapping[Any, Any]) -> Area:
    extent = row["extent"]
    return Area(
        row["code"],
        **{name: row[name] for name in STATED} | {"level": AreaLevel(row["level"])},
        bbox=(extent.low.x, extent.low.y, extent.high.x, extent.high.y) if extent else None,
        ancestors=tuple(row[level] for level in LEVELS),
    )


def _as_row(area: Area) -> dict[str, Any]:
    stated = {name: getattr(area, name) for name in ("code", *STATED)}
    return stated | {"bbox": area.bbox} | {str(level): above for level, above in zip(LEVELS, area.ancestors, strict=True)}
