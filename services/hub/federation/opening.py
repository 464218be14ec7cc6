"""A stream of rows from each source: what it is asked, what it sends, and how the coverage names it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import structlog

from services.hub.catalog.domain import Source
from services.hub.federation.arrivals import Arrival
from services.hub.federation.ask import Outcomes, Target, ask_all
from services.hub.federation.domain import SourceUnsound, failed, speaks_for
from services.hub.federation.levels import answers_of
from services.hub.state import Hub
from shared.caller import Caller
from shared.database import reading
from shared.datasets.bulk_answer import SHAPE_HEADER, shaped
from shared.datasets.bulk_rows import Layout, Shape, schema_of
from shared.datasets.bulk_sql import as_text, rows_statement
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Dataset
from shared.datasets.extent import parse_moment
from shared.datasets.history import settled
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View, view
from shared.errors import Problem
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceFailure, SourceTimeout

BEGINS_S = 15.0
"""How long a source has to begin its rows; then those of the others go out without it."""
MOST_LEAVES = 500
_KEPT_HERE = ("crs", "f", "limit", "properties", "stream", "skipGeometry")
"""Parameters that the sources are told in the hub's own words."""
_log = structlog.get_logger("stream")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of all sources."""

    runtime: Runtime
    caller: Caller
    aim: Target
    seen: View
    """Without its geometry, if that is not wanted."""
    query: RecordQuery
    shape: Shape
    passage: Passage

    @property
    def order(self) -> list[tuple[str, bool]]:
        return self.query.sorting(self.seen)

    @property
    def fields(self) -> list[str]:
        """What the sources send: the fields to answer with, and those to sort by."""
        chosen = {*self.query.chosen(), *(name for name, _ in self.order)}
        return [name for name in self.seen.fields if name in chosen]

    @property
    def expected(self) -> pa.Schema:
        return schema_of(self.seen, self.fields, self.shape)

    @property
    def answered(self) -> pa.Schema:
        """The columns of the answer."""
        return schema_of(self.seen, self.query.chosen(), self.shape)

    def parameters(self) -> list[tuple[str, str]]:
        """Without `properties` where all are wanted: a source may have fewer fields than others."""
        given = [(name, value) for name, value in self.query.given.items() if name not in _KEPT_HERE]
        given += [("properties", ",".join(self.fields))] if "properties" in self.query.given else []
        given += [("limit", str(self.query.most))] if self.query.most is not None else []
        given += [("skipGeometry", "true")] if self.seen.geometry is None and self.shape != "fields" else []
        return [*given, ("stream", "true"), ("f", "arrow")]


@dataclass(slots=True, eq=False)
class Opened:
    """One source's rows on their way, and how far they are."""

    source: Source
    dataset: str
    batches: AsyncIterator[pa.RecordBatch]
    as_of: datetime | None
    known_at: str | None
    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    """Rows that are in the answer."""
    failure: SourceFailure | None = None
    elapsed_ms: int = 0
    arrival: Arrival | None = None
    """Where it comes from, unless it is the hub's own."""
    below: tuple[SourceAnswer, ...] = ()
    """What a hub said of its own sources."""

    @property
    def leaves(self) -> list[str]:
        """Whose rows these are: a hub says so at its beginning."""
        said = self.arrival.about.get("sources") if self.arrival and self.source.kind == "hub" else None
        return [str(name) for name in said[:MOST_LEAVES]] if isinstance(said, list) else [self.source.name]

    def ended(self, failure: SourceFailure | None = None) -> None:
        self.failure = self.failure or failure
        self.elapsed_ms = self.elapsed_ms or round((time.monotonic() - self.started) * 1000)

    async def read(self) -> AsyncIterator[pa.RecordBatch]:
        """Its batches until the end, or until it fails, which is kept."""
        failure: SourceFailure | None = None
        try:
            async for batch in self.batches:
                yield batch
            if self.source.kind == "hub" and self.arrival is not None:
                self.below = answers_of(self.source, _entries(self.arrival.said), self.dataset)
        except SourceFailure as error:
            failure = error
        except Problem as problem:  # the hub's own data
            failure = SourceFailure(problem.detail)
        except Exception as error:  # noqa: BLE001  # whatever a source sends must not end the answer of the others
            _log.error("a stream could not be read", source=self.source.name, exc_info=error)
            failure = SourceUnsound(f"{self.source.name} sent rows that could not be read.")
        self.ended(failure)

    def answers(self) -> list[SourceAnswer]:
        """How the coverage names it: what came before a failure is in the answer and counted, but it is not all. A hub names its own sources at its end."""
        if self.failure is not None:
            return [replace(failed(self.source.name, self.dataset, self.failure, self.elapsed_ms), rows=self.rows, as_of=self.as_of)]
        if self.below:
            return list(self.below)
        name, elapsed_ms = self.source.name, self.elapsed_ms
        return [SourceAnswer(source=name, dataset=self.dataset, status="ok", rows=self.rows, as_of=self.as_of, elapsed_ms=elapsed_ms, served_from="rows")]


async def open_all(wanted: Wanted, stack: AsyncExitStack) -> Outcomes[Opened]:
    """Ask all sources at once; what they hold open is closed with the stack."""
    return await ask_all(wanted.aim, lambda source: _open(wanted, source, stack))


async def _open(wanted: Wanted, source: Source, stack: AsyncExitStack) -> Opened:
    if own := wanted.aim.own_at(source):
        return await _open_own(wanted, source, own, stack)
    hub: Hub = wanted.runtime.own
    begins_s = min(BEGINS_S, wanted.passage.remaining_s / 2)
    pieces = await stack.enter_async_context(
        hub.client.stream(
            source.name,
            f"{source.url}/collections/{wanted.aim.dataset}/items",
            wanted.passage.onward(),
            begins_s=begins_s,
            idle_s=wanted.runtime.settings.stream_idle_s,
            token=hub.issuer.hop(wanted.caller, source.audience(hub.city)),
            params=wanted.parameters(),
            headers={SHAPE_HEADER: wanted.shape} if wanted.shape != "table" else {},
        )
    )
    arrival = Arrival(source.name, pieces, wanted.expected, wanted.runtime.settings.stream_idle_s)
    try:
        async with asyncio.timeout(begins_s):
            await arrival.begin()
    except TimeoutError as error:
        raise SourceTimeout(f"{source.name} did not begin its rows within {begins_s:.3g} s.") from error
    opened = Opened(
        source, wanted.aim.dataset, arrival.batches(), _moment(arrival.about.get("timeStamp")), _text(arrival.about.get("known_at")), arrival=arrival
    )
    if not speaks_for(source, opened.leaves):
        raise SourceUnsound(f"{source.name} answers in another's name.")
    return opened


async def _open_own(wanted: Wanted, source: Source, own: Dataset, stack: AsyncExitStack) -> Opened:
    """The hub's own rows, straight from its database."""
    runtime = wanted.runtime
    known_at = wanted.query.given.get("known_at")
    moment: datetime | None = None
    if known_at:
        async with reading(runtime.reader) as connection:
            moment = await settled(connection, parse_moment(known_at, pointer="/known_at"))
    seen = view(own, wanted.caller, moment, city_areas=runtime.settings.areas)
    seen = replace(seen, geometry=None) if wanted.query.skips_geometry else seen
    layout = Layout.of(seen, wanted.fields, wanted.shape)
    began = datetime.now().astimezone()
    rows = await stack.enter_async_context(runtime.bulk.reading(as_text(rows_statement(seen, wanted.query, layout.read))))
    return Opened(source, wanted.aim.dataset, shaped(layout, rows), began, moment.isoformat() if moment else None)


def _entries(said: Mapping[str, Any]) -> Any:
    coverage = said.get("coverage")
    return coverage.get("sources") if isinstance(coverage, Mapping) else None


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 40 else None
