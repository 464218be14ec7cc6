"""All rows of a dataset as typed batches from every source that holds them, for those who compute on at the hub."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from services.hub.federation.ask import target
from services.hub.federation.opened import Wanted
from services.hub.federation.opening import open_all
from services.hub.federation.streams import Union, wanted
from services.hub.governance.noting import note_question
from shared.caller import Caller
from shared.datasets.bulk_rows import Shape
from shared.datasets.coverage import SourceAnswer
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View, unknown_dataset, view
from shared.passage import Passage
from shared.service import Runtime

SOURCE = "_source"
"""The column that names which source a row came from."""


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
    if aim.declared is None:
        raise unknown_dataset(dataset)
    note_question(dataset, {"filter": filter, "limit": limit, "known_at": known_at}, columns)
    seen = view(aim.declared, caller)
    given, shape = _asked(seen, columns)
    given += [("filter", json.dumps(filter)), ("filter-lang", "cql2-json")] if filter is not None else []
    given += [("limit", str(limit))] if limit is not None else []
    given += [("known_at", known_at)] if known_at else []
    asked = wanted(runtime, caller, aim, RecordQuery.read(given, aim.declared, seen.fields), shape, passage)
    async with AsyncExitStack() as stack:
        union = Union.of(asked, await open_all(asked, stack), strict=False)
        schema = _schema(asked, columns)
        batches = await stack.enter_async_context(aclosing(_batches(union, schema)))
        yield Scan(schema, batches, union.answers, aim.limited)


def _asked(seen: View, columns: Sequence[str] | None) -> tuple[list[tuple[str, str]], Shape]:
    """The sources' parameters by which the columns come, and the shape in which they do."""
    if columns is None:
        return [], "table"
    fields = [name for name in columns if name in seen.fields]
    others = [name for name in columns if name not in seen.fields and name != SOURCE]
    return [("properties", ",".join(fields or [next(iter(seen.fields))]))], "fields" if fields and not others else "features"


def _schema(asked: Wanted, columns: Sequence[str] | None) -> pa.Schema:
    arriving = asked.answered
    if columns is None:
        return arriving
    types = {SOURCE: pa.string()} | {name.removeprefix("_"): arriving.field(name).type for name in arriving.names if name[0] == "_"}
    types |= {name: arriving.field(name).type for name in arriving.names if name in asked.seen.fields}
    return pa.schema([(name, types[name]) for name in columns or ["id"]])


async def _batches(union: Union, schema: pa.Schema) -> AsyncGenerator[pa.RecordBatch]:
    names = [found.source.name for found in union.opened]
    async with aclosing(union.parts()) as parts:
        async for rows, owners in parts:
            columns = []
            for field in schema:
                if field.name == SOURCE:
                    whose = np.full(rows.num_rows, owners) if isinstance(owners, int) else owners
                    columns.append(pa.array(names, pa.string()).take(pa.array(whose)))
                else:
                    columns.append(rows.column(field.name if field.name in rows.schema.names else f"_{field.name}"))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
