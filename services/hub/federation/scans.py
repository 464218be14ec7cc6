"""All rows of a dataset as typed batches from every source that holds them, for those who compute on at the hub."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from services.hub.federation.ask import Outcomes, Target, ask_all, target
from services.hub.federation.domain import check_answered, coverage_of
from services.hub.federation.records import Journey, Page, _answers, _page_of, _picked_table, _wish
from services.hub.federation.union import merge
from services.hub.governance.noting import note_growing, note_question
from shared.caller import Caller
from shared.database import reading
from shared.datasets.coverage import SourceAnswer
from shared.datasets.formats import table
from shared.datasets.record_query import RecordQuery
from shared.datasets.records import Page as Rows
from shared.datasets.records import read_page
from shared.datasets.view import unknown_dataset, view
from shared.passage import Passage
from shared.service import Runtime


@dataclass(slots=True)
class Scan:
    """The rows of a dataset while they arrive."""

    schema: pa.Schema
    """The columns asked for, in that order; times are UTC microseconds, numbers double, integers int64."""
    batches: AsyncIterator[pa.RecordBatch]
    answers: list[SourceAnswer]
    """What became of each source; complete once `batches` has ended."""
    limited: bool = False
    """Whether the token is narrower than the dataset."""


@asynccontextmanager
async def scan(
    runtime: Runtime,
    caller: Caller,
    dataset: str,
    *,
    columns: Sequence[str] | None,
    filter: Mapping[str, Any] | None,  # noqa: A002  # as the parameter of the contract is called
    limit: int | None,
    passage: Passage,
    named: frozenset[str] | None = None,
    known_at: str | None = None,
) -> AsyncIterator[Scan]:
    """The rows that meet a condition (CQL2 JSON), at most `limit` of all sources together, in no particular order.

    `columns` are fields of the dataset, or `lon`, `lat`, `geometry` of where it lies, or `_source`, which source a row came from;
    None is all fields with the feature's `id`.
    None of them (`[]`) gives the `id` alone, so that rows can be counted. Raises what the sources find wrong with the question,
    `NotFound`, or `NobodyAnswered`; a source that fails later ends its own rows and is named in `answers`.
    """
    aim = target(runtime, caller, dataset, named)
    note_question(dataset, {"filter": filter, "limit": limit, "known_at": known_at}, columns)
    page = _page(runtime, caller, aim, columns, filter, known_at)
    answers: list[SourceAnswer] = []
    note_growing(answers)
    batches = _rows(page, limit, passage, answers)
    first = await anext(batches)
    schema = first.drop_columns(["_source"]).schema if columns is None else pa.schema([first.schema.field(name) for name in columns or ["id"]])

    async def chosen() -> AsyncIterator[pa.RecordBatch]:
        for batch in first.select(schema.names).to_batches():
            yield batch
        async for rows in batches:
            for batch in rows.select(schema.names).to_batches():
                yield batch

    yield Scan(schema, chosen(), answers, aim.limited)


def _page(runtime: Runtime, caller: Caller, aim: Target, columns: Sequence[str] | None, condition: Mapping[str, Any] | None, known_at: str | None) -> Page:
    declared = aim.own or aim.declared
    if declared is None:
        raise unknown_dataset(aim.dataset)
    seen = view(declared, caller)
    fields = [name for name in columns if name in seen.fields] if columns else []
    given = [("filter", json.dumps(condition)), ("filter-lang", "cql2-json")] if condition is not None else []
    given += [("properties", ",".join(fields))] if fields else []
    given += [("known_at", known_at)] if known_at else []
    query = RecordQuery.read([*given, ("limit", str(runtime.settings.page_limit))], declared, seen.fields)
    return Page(runtime, caller, aim, seen, query, "arrow", Journey.of({}, aim), "", "", None)


async def _rows(page: Page, limit: int | None, passage: Passage, answers: list[SourceAnswer]) -> AsyncIterator[pa.Table]:
    if page.aim.own is not None and len(page.aim.sources) == 1:
        async with reading(page.runtime.reader) as connection:
            seen = view(page.aim.own, page.caller, city_areas=page.runtime.settings.areas)
            found: Rows = await read_page(connection, seen, page.query, most=1_000_000, place=None)
        answers.append(SourceAnswer(source=page.aim.sources[0].name, dataset=page.aim.dataset, status="ok", rows=len(found.ids), served_from="rows"))
        yield _from(table(found, seen).slice(0, limit), [page.aim.sources[0].name] * len(found.ids[:limit]))
        return
    left, rows = limit, dict.fromkeys((source.name for source in page.aim.sources), 0)
    while page.journey.after and left != 0:
        asked = replace(page.aim, sources=tuple(source for source in page.aim.sources if source.name in page.journey.after))
        here = page
        outcomes: Outcomes[Any] = await ask_all(asked, lambda source, here=here: _page_of(here, source, passage.onward()))  # type: ignore[misc]
        merged = merge([features.portion for _, features in outcomes.found], _wish(page).descending, left or 10**9)
        coverage = coverage_of(page.caller, (*_answers(page, outcomes, merged.taken), *outcomes.failures), limited=page.aim.limited)
        check_answered(coverage, outcomes.refusals, strict=False)
        answers += outcomes.failures
        after = {
            source.name: features.portion.places[taken - 1] if taken else page.journey.after[source.name]
            for (source, features), taken in zip(outcomes.found, merged.taken, strict=True)
            if taken < len(features.portion.places) or not features.portion.exhausted
        }
        for (source, _), taken in zip(outcomes.found, merged.taken, strict=True):
            rows[source.name] += taken
        page = replace(page, journey=Journey(after, {}, {}))
        left = None if left is None else left - len(merged.picked)
        yield _from(_picked_table([features for _, features in outcomes.found], merged), [outcomes.found[number][0].name for number, _ in merged.picked])
    failed = {answer.source for answer in answers}
    answers += [
        SourceAnswer(source=name, dataset=page.aim.dataset, status="ok", rows=taken, served_from="rows") for name, taken in rows.items() if name not in failed
    ]


def _from(rows: pa.Table, sources: Sequence[str]) -> pa.Table:
    return rows.append_column("_source", pa.array(sources, pa.string()))
