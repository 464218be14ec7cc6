"""Bulk loads into a table with a natural key: new rows are taken, equal ones are duplicates, others conflict or correct."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, ColumnElement, Integer, MetaData, Table, and_, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.schema import CreateTable

from shared.batches import LoadAnswer
from shared.errors import Conflict, InvalidBody, Problem
from shared.row_models import Checked

PLACE = "place_in_batch"
CORRECT = "Send it with correct=true if that was wrong."
"""What a load advises about a conflict."""
Rows = Mapping[int, Mapping[str, Any]]


@dataclass(slots=True)
class Merged:
    """What became of the rows, by their numbers in the batch."""

    taken: list[int] = field(default_factory=list)
    corrected: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    conflicts: dict[int, str] = field(default_factory=dict)
    """Rows whose key is recorded with other values, and the columns that differ; none are named of rows that the caller may not correct."""
    contradictory: list[int] = field(default_factory=list)
    """Rows of this batch with one key and different values: which of them is right cannot be known."""

    def explain(self, checked: Checked[Any], what: str) -> None:
        """Put the reasons of the rejected rows into the batch's errors."""
        for row, columns in self.conflicts.items():
            checked.reject(row, "", "conflict", conflict(what, columns))
        for row in self.contradictory:
            checked.reject(row, "", "contradictory", f"The batch has this {what} twice with different values. Send only the right one.")


def conflict(what: str, columns: str) -> str:
    """Why a row cannot be taken; of what lies outside the caller's rights no more than that the key is taken."""
    if not columns:
        return f"This {what} is already taken."
    return f"This {what} is already recorded with another {columns}. {CORRECT}"


def refusal(answer: LoadAnswer, *, corrected_by: str) -> Problem:
    """Why the one row of a report was not taken. A report corrects nothing: `corrected_by` is the load that does, such as `PUT /incidents`."""
    first = answer.errors[0]
    kind = Conflict if first.code == "conflict" else InvalidBody
    detail = first.detail.replace(CORRECT, f"If that was wrong, correct it by {corrected_by}?correct=true.")
    return kind(detail, pointer=first.pointer.removeprefix("/0") or None)


async def merge(
    session: AsyncSession,
    table: Table,
    rows: Rows,
    *,
    key: Sequence[str],
    recorded_by: str,
    correct: bool = False,
    correctable: ColumnElement[bool] | None = None,
    derived: Collection[str] = (),
) -> Merged:
    """Merge rows, all with the same columns, in a few statements whatever their number.

    Nothing is overwritten unless `correct`; then the table's history keeps what was there. `correctable` says which recorded rows
    this caller may see and correct at all; the others stay conflicts, of which nothing is told. `derived` columns are written with
    a new row and never compared: they follow from something else. Safe among concurrent loads of the same rows: the first to commit
    is taken, the others find a duplicate or a conflict.
    """
    merged = Merged()
    chosen = _one_per_key(rows, key, merged)
    if not chosen:
        return merged
    columns = list(next(iter(chosen.values())))
    stage = await _staged(session, table, columns, chosen)
    by_key = {tuple(row[name] for name in key): number for number, row in chosen.items()}
    merged.taken += [by_key[added] for added in await _add_new(session, table, stage, columns, key, recorded_by)]
    if len(merged.taken) == len(chosen):
        return merged
    same_key = and_(*(table.c[name] == stage.c[name] for name in key))
    values = [name for name in columns if name not in key and name not in derived]
    if correct:
        allowed = same_key if correctable is None else and_(same_key, correctable)
        merged.corrected += await _correct(session, table, stage, allowed, key, values, recorded_by)
    if not correct or correctable is not None:
        merged.conflicts |= await _differing(session, table, stage, same_key, values, correctable)
    settled = {*merged.taken, *merged.corrected, *merged.conflicts}
    merged.duplicates += [number for number in chosen if number not in settled]
    return merged


def _one_per_key(rows: Rows, key: Sequence[str], merged: Merged) -> dict[int, Mapping[str, Any]]:
    """One row for each key; equal repetitions are duplicates, contradictory ones are all out."""
    by_key: dict[tuple[Any, ...], list[int]] = {}
    for number, row in rows.items():
        by_key.setdefault(tuple(row[name] for name in key), []).append(number)
    chosen = {}
    for numbers in by_key.values():
        first = rows[numbers[0]]
        if all(rows[number] == first for number in numbers[1:]):
            chosen[numbers[0]] = first
            merged.duplicates += numbers[1:]
        else:
            merged.contradictory += numbers
    return chosen


async def _staged(session: AsyncSession, table: Table, columns: Sequence[str], rows: Rows) -> Table:
    """The rows in a temporary table of this connection, empty again after the transaction."""
    name = f"incoming_{table.name}"
    stage = Table(
        name,
        MetaData(),
        Column(PLACE, Integer, nullable=False),
        *(Column(column.name, column.type) for column in table.columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DELETE ROWS",
    )
    await session.execute(CreateTable(stage, if_not_exists=True))
    raw = (await (await session.connection()).get_raw_connection()).driver_connection
    assert raw is not None
    await raw.execute(f"DELETE FROM {name}")  # an earlier merge of the same transaction
    await raw.copy_records_to_table(name, columns=[PLACE, *columns], records=[(number, *row.values()) for number, row in rows.items()])
    return stage


async def _add_new(session: AsyncSession, table: Table, stage: Table, columns: Sequence[str], key: Sequence[str], recorded_by: str) -> list[tuple[Any, ...]]:
    """Insert the rows whose key is not there, in one order so that concurrent loads wait instead of deadlocking; their keys."""
    new = select(*(stage.c[name] for name in columns), literal(recorded_by)).order_by(*(stage.c[name] for name in key))
    statement = insert(table).from_select([*columns, "recorded_by"], new).on_conflict_do_nothing(index_elements=list(key))
    return [tuple(added) for added in await session.execute(statement.returning(*(table.c[name] for name in key)))]


async def _correct(
    session: AsyncSession, table: Table, stage: Table, same_key: ColumnElement[bool], key: Sequence[str], values: Sequence[str], recorded_by: str
) -> list[int]:
    if not values:
        return []
    locked = select(table.c[key[0]]).join(stage, same_key).order_by(*(table.c[name] for name in key)).with_for_update(of=table)
    await session.execute(locked)  # in one order, so that two corrections wait instead of deadlocking
    changed = or_(*(table.c[name].is_distinct_from(stage.c[name]) for name in values))
    change = update(table).values({**{name: stage.c[name] for name in values}, "recorded_by": recorded_by}).where(same_key, changed).returning(stage.c[PLACE])
    return list(await session.scalars(change))


async def _differing(
    session: AsyncSession, table: Table, stage: Table, same_key: ColumnElement[bool], values: Sequence[str], correctable: ColumnElement[bool] | None
) -> dict[int, str]:
    if not values:
        return {}
    different = {name: table.c[name].is_distinct_from(stage.c[name]) for name in values}
    named = func.concat_ws(", ", *(case((differs, name)) for name, differs in different.items()))
    told = named if correctable is None else case((correctable, named), else_="")
    found = await session.execute(select(stage.c[PLACE], told).join(table, same_key).where(or_(*different.values())))
    return dict(map(tuple, found))
