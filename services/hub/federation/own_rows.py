"""Rows of the hub's own tables beside those of its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.hub.federation.levels import Position
from services.hub.federation.portions import Features, Wish, no_row
from services.hub.federation.union import Portion
from shared.caller import Caller
from shared.database import reading
from shared.datasets import records
from shared.datasets.answers import AFTER_HEADER
from shared.datasets.declaration import Dataset
from shared.datasets.extent import parse_moment
from shared.datasets.formats import features, table
from shared.datasets.history import settled
from shared.datasets.keyset import place_of
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View, view
from shared.errors import InvalidRequest
from shared.service import Runtime


async def own_page(
    runtime: Runtime, caller: Caller, own: Dataset, query: RecordQuery, name: str, place: Position, known_at: str | None, wish: Wish
) -> Features:
    """The hub's next rows after a place, as a source would send them; `name` is the hub's."""
    if isinstance(place, Mapping):
        raise InvalidRequest(f"{name} has no sources of its own in this dataset.", pointer=f"/{AFTER_HEADER}")
    async with reading(runtime.reader) as connection:
        seen = await _seen(runtime, connection, caller, own, known_at or query.given.get("known_at"))
        page = await records.read_page(connection, seen, replace(query, fields=seen.fields), most=runtime.settings.page_limit, place=place)
    portion = Portion(name, [place_of(values) for values in page.order], exhausted=page.next is None)
    return _features(page, seen, portion, query, wish, page.matched)


async def own_row(runtime: Runtime, caller: Caller, own: Dataset, query: RecordQuery, name: str, feature_id: str, wish: Wish) -> Features:
    """One row of the hub's own, if it is there for the caller."""
    async with reading(runtime.reader) as connection:
        seen = await _seen(runtime, connection, caller, own, query.given.get("known_at"))
        page = await records.read_row(connection, seen, feature_id)
    return _features(page, seen, Portion(name, [], exhausted=True), query, wish, None) if page.ids else no_row(name)


async def _seen(runtime: Runtime, connection: AsyncConnection, caller: Caller, own: Dataset, known_at: str | None) -> View:
    moment = await settled(connection, parse_moment(known_at, pointer="/known_at")) if known_at else None
    return view(own, caller, moment, city_areas=runtime.settings.areas)


def _features(page: records.Page, seen: View, portion: Portion, query: RecordQuery, wish: Wish, matched: int | None) -> Features:
    rows = features(page, swapped=query.swapped)
    flat = table(page, seen) if wish.seen is not None else no_row(portion.source).table
    known_at = seen.known_at.isoformat() if seen.known_at else None
    return Features(rows=rows, portion=portion, table=flat, matched=matched, known_at=known_at, as_of=seen.known_at or datetime.now(UTC), elapsed_ms=0)
