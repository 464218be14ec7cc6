"""One service's answer to an aggregate: from the caller's view of a dataset to states."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.caller import Caller
from shared.config import Settings
from shared.datasets.aggregate.by_values import Memory, of_times_alone, states_by_values, states_of_kept
from shared.datasets.aggregate.columns import GROUP_ROWS, Layout
from shared.datasets.aggregate.compile import Compiled, compile_rows
from shared.datasets.aggregate.finish import Finished, finish, select_rows
from shared.datasets.aggregate.fixed_cells import CELLS, as_perturbed, check_cells, personal, perturbed_table, refuse_personal_fields
from shared.datasets.aggregate.gather import gather
from shared.datasets.aggregate.kept_columns import KeptColumns
from shared.datasets.aggregate.plan import lay_out
from shared.datasets.aggregate.question import Question
from shared.datasets.aggregate.rolled import compile_rolled
from shared.datasets.aggregate.states import States
from shared.datasets.coverage import Coverage, Scope, SourceAnswer
from shared.datasets.declaration import Dataset
from shared.datasets.history import settled
from shared.datasets.labels import visible_fields
from shared.datasets.versions import answer_versions
from shared.datasets.view import View, unknown_dataset, view


async def states_of(
    connection: AsyncConnection, dataset: Dataset, question: Question, caller: Caller, settings: Settings, now: datetime, memory: Memory
) -> States:
    """The states of the rows that exist for the caller, computed in one snapshot of `connection` (repeatable read), which is of the memory's version.

    Its transaction was begun by `begin`.
    """
    started = time.perf_counter()
    if not visible_fields(dataset, caller):
        raise unknown_dataset(dataset.id)
    known_at = await settled(connection, question.known_at) if question.known_at else None
    if known_at:  # in a new transaction
        await begin(connection, dataset, question, settings)
    seen = view(dataset, caller, known_at, city_areas=settings.areas)
    layout, memory = lay_out(question, seen, settings.timezone), memory.of(seen)
    fixed = personal(dataset)
    if fixed:
        check_cells(question, layout, dataset, caller, settings)
    else:
        refuse_personal_fields(layout, dataset)
    if fixed:
        layout, served_from = as_perturbed(layout), CELLS
        table = await perturbed_table(connection, question, layout, seen, settings)
    else:
        rolled = compile_rolled(question, layout, seen, caller, settings.areas)
        served_from = rolled.served_from if rolled else "rows"
        kept = None if rolled else await states_of_kept(connection, question, layout, seen, memory)
        table = await _computed(connection, question, layout, seen, memory, rolled) if kept is None else kept
    answer = SourceAnswer(
        source=settings.audience,
        dataset=dataset.id,
        status="ok",
        rows=None if fixed else pc.sum(table[GROUP_ROWS]).as_py() or 0,
        as_of=known_at or now,
        elapsed_ms=round((time.perf_counter() - started) * 1000),
        served_from=served_from,
    )
    return States(layout, table, (answer,), dataset.smallest_group)


def all_kept(dataset: Dataset, question: Question, caller: Caller, settings: Settings, columns: KeptColumns) -> View | None:
    """The caller's view of a dataset if columns kept in memory may answer the question without the database; None for who sees less than everything."""
    if not columns.keeps(dataset.table) or question.known_at or not of_times_alone(question) or personal(dataset):
        return None
    if not caller.everywhere or len(visible_fields(dataset, caller)) < len(dataset.fields):
        return None
    seen = view(dataset, caller, city_areas=settings.areas)
    return seen if seen.whole else None


async def states_in_memory(question: Question, seen: View, caller: Caller, settings: Settings, now: datetime, memory: Memory) -> States | None:
    """What `states_of` would give from columns that are kept, of a view that `all_kept` gave; None if they are not of the memory's version, or not enough."""
    started, dataset = time.perf_counter(), seen.dataset
    layout = lay_out(question, seen, settings.timezone)
    refuse_personal_fields(layout, dataset)
    if compile_rolled(question, layout, seen, caller, settings.areas):
        return None
    table = await states_of_kept(None, question, layout, seen, memory)
    if table is None:
        return None
    rows, elapsed_ms = pc.sum(table[GROUP_ROWS]).as_py() or 0, round((time.perf_counter() - started) * 1000)
    answer = SourceAnswer(source=settings.audience, dataset=dataset.id, status="ok", rows=rows, as_of=now, elapsed_ms=elapsed_ms, served_from="rows")
    return States(layout, table, (answer,), dataset.smallest_group)


async def _computed(connection: AsyncConnection, question: Question, layout: Layout, seen: View, memory: Memory, rolled: Compiled | None) -> pa.Table:
    """The states from the database, in one of three ways."""
    if rolled:
        return await gather(connection, layout, rolled)
    grouped_here = await states_by_values(connection, question, layout, seen, memory)
    if grouped_here is not None:
        return grouped_here
    table = await gather(connection, layout, compile_rows(question, layout, seen))
    if isinstance(seen.source, Table):
        memory.columns.has_read(seen.source, memory.version, pc.sum(table[GROUP_ROWS]).as_py() or 0)
    return table


async def begin(connection: AsyncConnection, dataset: Dataset, question: Question, settings: Settings) -> str | None:
    """The version of a dataset, None if it has none, and settings for the rest of the transaction, in one round trip.

    Statements have the time that is left; groups are hashed, for the planner takes each row for one and would sort them all.
    """
    longest = int(settings.statement_timeout_s * 1000)
    made = {"enable_sort": "off", "statement_timeout": str(min(question.deadline_ms or longest, longest))}
    return (await answer_versions(connection, [dataset], settings, made=made)).get(dataset.id)


def finished_answer(states: States, question: Question, dataset: Dataset, caller: Caller) -> tuple[Finished, Coverage]:
    """The finished answer of this source alone, and what it covers; where small groups are suppressed, not how many rows there are in all."""
    finished = finish(states)
    answers = tuple(replace(answer, rows=None) if states.smallest_group else answer for answer in states.answers)
    limited = not caller.everywhere or len(visible_fields(dataset, caller)) < len(dataset.fields)
    coverage = Coverage(scope=Scope.of(caller), sources=answers, limited=limited, suppressed=finished.suppressed)
    return select_rows(finished, having=question.having, sortby=question.sortby, limit=question.limit), coverage
