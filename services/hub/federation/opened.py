"""What is asked of every source that streams its rows, and one source's rows on their way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import structlog

from services.hub.catalog.domain import Source
from services.hub.federation.arrivals import Arrival
from services.hub.federation.ask import Target
from services.hub.federation.domain import SourceUnsound, failed, from_city
from services.hub.federation.levels import answers_of
from shared.caller import Caller
from shared.datasets.bulk_rows import Shape, schema_of
from shared.datasets.coverage import SourceAnswer
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View
from shared.errors import Problem
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceFailure

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
    agreement: str | None = None
    """Under which a peer gives its rows."""

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
            entry = replace(failed(self.source.name, self.dataset, self.failure, self.elapsed_ms), rows=self.rows, as_of=self.as_of)
            return [from_city(self.source, entry, self.agreement)]
        if self.below:
            return list(self.below)
        name, elapsed_ms = self.source.name, self.elapsed_ms
        entry = SourceAnswer(source=name, dataset=self.dataset, status="ok", rows=self.rows, as_of=self.as_of, elapsed_ms=elapsed_ms, served_from="rows")
        return [from_city(self.source, entry, self.agreement)]


def _entries(said: Mapping[str, Any]) -> Any:
    coverage = said.get("coverage")
    return coverage.get("sources") if isinstance(coverage, Mapping) else None
