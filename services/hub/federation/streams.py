"""Every row of all sources in one answer, merged in bounded memory, with the coverage at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from fastapi import Request, Response

from services.hub.federation.ask import Outcomes, Target, target
from services.hub.federation.domain import Incomplete, SourceUnsound, check_answered, coverage_of
from services.hub.federation.interleave import Run, interleave
from services.hub.federation.naming import OURS, named_in
from services.hub.federation.opened import Opened, Wanted
from services.hub.federation.opening import open_all
from services.hub.governance.noting import note_growing
from shared.caller import Caller
from shared.datasets.answers import base_of, now_text
from shared.datasets.bulk_answer import StreamedAnswer, shape_of
from shared.datasets.bulk_forms import Stream, encoded
from shared.datasets.bulk_rows import Shape
from shared.datasets.catalogue import link
from shared.datasets.coverage import Coverage, SourceAnswer
from shared.datasets.extent import CRS84, EPSG4326
from shared.datasets.formats import MEDIA_TYPES, Form, asked_form, encode_json
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import unknown_dataset, view
from shared.passage import Passage
from shared.service import Runtime
from shared.source_failures import SourceFailure

Part = tuple[pa.RecordBatch, np.ndarray | int]
"""Rows, and for each the position of its source, or the one that they all come from."""


@dataclass(slots=True)
class Union:
    """The rows of all sources while they arrive."""

    wanted: Wanted
    opened: Sequence[Opened]
    """In the order of their names."""
    failures: Sequence[SourceAnswer]
    """Sources that never began."""
    strict: bool = False
    """Whether a source that fails ends everything."""
    answers: list[SourceAnswer] = field(default_factory=list)
    """What became of each source; complete once the rows have ended."""

    @classmethod
    def of(cls, wanted: Wanted, outcomes: Outcomes[Opened], *, strict: bool) -> Union:
        """Raises what speaks against giving an answer at all."""
        opened = sorted((found for _, found in outcomes.found), key=lambda found: found.source.name)
        once, twice = _once(opened)
        union = cls(wanted, once, [*outcomes.failures, *twice], strict)
        check_answered(union.coverage(), outcomes.refusals, strict=strict)
        note_growing(union.answers)
        return union

    def coverage(self) -> Coverage:
        return coverage_of(self.wanted.caller, self.answers or self._standing(), limited=self.wanted.aim.limited)

    def about(self) -> dict[str, Any]:
        known_at = min((found.known_at for found in self.opened if found.known_at), default=None)
        leaves = sorted({name for found in self.opened for name in found.leaves})
        return {"dataset": self.wanted.aim.dataset, "timeStamp": now_text(), "sources": leaves, **({"known_at": known_at} if known_at else {})}

    def _standing(self) -> list[SourceAnswer]:
        return [*(answer for found in self.opened for answer in found.answers()), *self.failures]

    def _failed(self, failure: SourceFailure) -> None:
        if self.strict:
            raise Incomplete(failure.detail)

    async def parts(self) -> AsyncGenerator[Part]:
        """Rows and whose they are, at most as many as the query takes; in the asked order if there is one."""
        left = self.wanted.query.most
        try:
            async with aclosing(self._sorted() if self.wanted.order else self._as_they_come()) as parts:
                async for batch, owners in parts:
                    batch, owners = (batch, owners) if left is None else _first(batch, owners, left)  # noqa: PLW2901
                    if isinstance(owners, int):
                        self.opened[owners].rows += batch.num_rows
                    else:
                        for found, count in zip(self.opened, np.bincount(owners, minlength=len(self.opened)), strict=True):
                            found.rows += int(count)
                    left = None if left is None else left - batch.num_rows
                    yield batch, owners
                    if left == 0:
                        break
        finally:
            for found in self.opened:
                found.ended()
            self.answers += self._standing()

    async def batches(self) -> AsyncGenerator[pa.RecordBatch]:
        """The columns of the answer."""
        async with aclosing(self.parts()) as parts:
            async for batch, _ in parts:
                yield batch.select(self.wanted.answered.names)

    async def _as_they_come(self) -> AsyncGenerator[Part]:
        """One batch of each source waits at most; a source whose batch waits is not read."""
        queue: asyncio.Queue[tuple[int, pa.RecordBatch | None]] = asyncio.Queue(max(2, len(self.opened)))

        async def read(number: int, found: Opened) -> None:
            async for batch in found.read():
                await queue.put((number, batch))
            await queue.put((number, None))

        async with _tasks([read(number, found) for number, found in enumerate(self.opened)]):
            going = len(self.opened)
            while going:
                number, batch = await queue.get()
                if batch is not None:
                    yield batch, number
                    continue
                going -= 1
                if failure := self.opened[number].failure:
                    self._failed(failure)

    async def _sorted(self) -> AsyncGenerator[Part]:
        """One batch of each source is merged while the next waits."""
        queues: list[asyncio.Queue[pa.RecordBatch | None]] = [asyncio.Queue(1) for _ in self.opened]

        async def read(number: int, found: Opened) -> None:
            async for batch in found.read():
                await queues[number].put(batch)
            await queues[number].put(None)

        async def waiting(number: int) -> AsyncIterator[pa.RecordBatch]:
            while (batch := await queues[number].get()) is not None:
                yield batch
            if failure := self.opened[number].failure:
                raise failure

        def failed(number: int, failure: SourceFailure) -> None:
            self.opened[number].ended(failure)
            self._failed(failure)

        async with _tasks([read(number, found) for number, found in enumerate(self.opened)]):
            runs = [Run(number, found.source.name, waiting(number)) for number, found in enumerate(self.opened)]
            async for part in interleave(runs, self.wanted.order, failed):
                yield part


def _first(batch: pa.RecordBatch, owners: np.ndarray | int, most: int) -> Part:
    return batch.slice(0, most), owners if isinstance(owners, int) else owners[:most]


def _once(opened: Sequence[Opened]) -> tuple[list[Opened], list[SourceAnswer]]:
    """No rows twice: who answers for a source that somebody before it answers for as well is left out, and named."""
    known: set[str] = set()
    once: list[Opened] = []
    twice: list[SourceAnswer] = []
    for found in opened:
        if again := known & set(found.leaves):
            found.ended(SourceUnsound(f"{found.source.name} answers for {min(again)}, for which another source answers, too."))
            twice += found.answers()
        else:
            once.append(found)
            known |= set(found.leaves)
    return once, twice


@asynccontextmanager
async def _tasks(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run side by side with what happens within; nothing of it is left afterwards."""
    tasks = [asyncio.create_task(part) for part in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def wanted(runtime: Runtime, caller: Caller, aim: Target, query: RecordQuery, shape: Shape, passage: Passage) -> Wanted:
    """What to ask the sources. Raises what is wrong with the query as far as this hub can tell."""
    declared = aim.declared
    if declared is None:
        raise unknown_dataset(aim.dataset)
    seen = view(declared, caller)
    seen = replace(seen, geometry=None) if query.skips_geometry else seen
    query.conditions(seen)
    return Wanted(runtime, caller, aim, seen, query, shape, passage)


async def stream_items(runtime: Runtime, request: Request, caller: Caller, dataset: str, passage: Passage, *, strict: bool) -> Response:
    """The rows of all sources as a stream. Raises what the sources find wrong with the query, `NobodyAnswered`, or `TooMany`.

    What has begun can no longer become an error: it ends with its coverage or, under `strict`, breaks off. CSV has no place
    for a coverage at its end, so it breaks off whenever a source does.
    """
    aim = target(runtime, caller, dataset, named_in(request))
    if aim.declared is None:
        raise unknown_dataset(dataset)
    given = [(name, value) for name, value in request.query_params.multi_items() if name not in OURS]
    query = RecordQuery.read(given, aim.declared, view(aim.declared, caller).fields)
    form = asked_form(query.given.get("f"), request.headers.get("accept", ""))
    asked = wanted(runtime, caller, aim, query, shape_of(request, form), passage)
    settings = runtime.settings
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(runtime.bulk.admitted())
        union = Union.of(asked, await open_all(asked, stack), strict=strict)
        headers = {"Content-Crs": f"<{EPSG4326 if query.swapped else CRS84}>"}
        if form == "csv":
            union.strict = True
            headers["Link"] = f'<data:application/json,{quote(encode_json(union.coverage().as_dict()))}>; rel="coverage"'
        stream = Stream(asked.answered, union.batches(), union.about(), lambda _: {"coverage": union.coverage().as_dict(), **_links(request, dataset, form)})
        return StreamedAnswer(
            encoded(stream, form, swapped=query.swapped),
            stack.pop_all(),
            form=form,
            headers=headers,
            limit_s=passage.remaining_s + settings.stream_idle_s,  # the sources end in time; what they sent by then, and the coverage, still have to leave
            idle_s=passage.remaining_s if caller.actor else settings.stream_idle_s,
        )
    raise AssertionError  # a stack of our own passes every exception on


def _links(request: Request, dataset: str, form: Form) -> dict[str, Any]:
    if form == "arrow":
        return {}
    collection = f"{base_of(request)}/collections/{quote(dataset)}"
    return {"links": [link(str(request.url), "self", MEDIA_TYPES[form]), link(collection, "collection", "application/json")]}
