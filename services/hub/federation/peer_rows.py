"""Rows of a peer city among streams: the gateway gives one signed page, so that is all; a peer that has more is named as incomplete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from services.hub.catalog.domain import Source
from services.hub.federation.opened import Opened, Wanted
from services.hub.federation.portions import Features
from services.hub.federation.records import Journey, Page, page_of
from shared.source_failures import SourceFailure


async def open_peer(wanted: Wanted, source: Source, patience_s: float) -> Opened:
    """The page, asked for within the time that a source has to begin."""
    most = wanted.runtime.settings.page_limit
    given = {name: value for name, value in wanted.query.given.items() if name not in ("stream", "f", "properties")}
    given |= {"limit": str(min(most, wanted.query.most or most))}
    given |= {"properties": ",".join(wanted.fields)} if "properties" in wanted.query.given else {}
    query = replace(wanted.query, given=given)
    page = Page(wanted.runtime, wanted.caller, wanted.aim, wanted.seen, query, "arrow", Journey.of({}, wanted.aim), "", "", None)
    found = await page_of(page, source, wanted.passage.within(patience_s))
    return Opened(source, wanted.aim.dataset, _rows(found, wanted), found.as_of, found.known_at, agreement=found.agreement)


async def _rows(found: Features, wanted: Wanted) -> AsyncIterator[pa.RecordBatch]:
    if found.rows:
        columns = [_column(name, found, wanted) for name in wanted.expected.names]
        yield pa.RecordBatch.from_arrays(columns, schema=wanted.expected)
    if not found.portion.exhausted and len(found.rows) != wanted.query.most:
        raise SourceFailure("The peer has more rows than it gives at once: narrow the question.")


def _column(name: str, found: Features, wanted: Wanted) -> Any:
    if name == "_id":
        return pa.array([str(row["id"]) for row in found.rows], pa.string())
    plain = name.removeprefix("_") if name not in wanted.seen.fields else name
    return found.table[plain].combine_chunks() if plain in found.table.schema.names else pa.nulls(len(found.rows), wanted.expected.field(name).type)
