"""One statement from its plan to its rows: groups asked, scans opened, a process that computes, and what the answer rests on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from services.hub.federation.aggregates import aggregate
from services.hub.federation.domain import check_answered, coverage_of
from services.hub.sql.domain import Groups, Plan
from services.hub.sql.encoding import check_columns
from services.hub.sql.failed_place import FailedPlace
from services.hub.sql.feeding import Asking, Feed, send_table
from services.hub.sql.pool import Job, Workers
from services.hub.sql.problems import SqlFailed, SqlTimeout, SqlTooLarge
from shared.datasets.aggregate.problems import FixedCellsOnly, InvalidDimension, InvalidMeasure, NotFinite, TooManyCells
from shared.datasets.aggregate.question import Question
from shared.datasets.coverage import Coverage, SourceAnswer

BATCH_ROWS = 8192
HELD_BYTES = 1024 * 1024
"""An answer up to this size is held back until it is whole: then its status and coverage are known before it begins."""
CANNOT_GROUP = (TooManyCells, NotFinite, FixedCellsOnly, InvalidMeasure, InvalidDimension)
"""Why a source may be unable to make groups where rows still give the answer."""
_GRACE_S = 1.0


@dataclass
class Computed:
    """The rows of an answer while they come."""

    asking: Asking
    schema: pa.Schema
    batches: AsyncIterator[pa.RecordBatch]
    answers: list[SourceAnswer]
    """From groups; those of scans are at `feeds`."""
    feeds: Sequence[Feed]
    limited: bool
    held: list[pa.RecordBatch] = field(default_factory=list)
    whole: bool = False
    """Whether `held` is all there is."""

    async def hold(self) -> None:
        """Take in rows until the answer is whole or too large to be held back."""
        size = 0
        async for batch in self.batches:
            self.held.append(batch)
            size += batch.nbytes
            if size >= HELD_BYTES:
                return
        self.whole = True

    async def all_batches(self) -> AsyncIterator[pa.RecordBatch]:
        for batch in self.held:
            yield batch
        async for batch in self.batches:
            yield batch

    def coverage(self, *, strict: bool) -> Coverage:
        """What the answer rests on. Raises `NobodyAnswered` if a dataset had no answer at all, `Incomplete` under `strict`."""
        answers = merged([*self.answers, *(answer for feed in self.feeds for answer in feed.answers)])
        limited = self.limited or any(feed.limited for feed in self.feeds)
        for dataset in {answer.dataset for answer in answers}:
            own = [answer for answer in answers if answer.dataset == dataset]
            check_answered(coverage_of(self.asking.caller, own, limited=limited), (), strict=strict)
        return coverage_of(self.asking.caller, answers, limited=limited)


def merged(answers: Sequence[SourceAnswer]) -> list[SourceAnswer]:
    """One entry for each source of each dataset, though it was asked several times: the worst, with all rows."""
    found: dict[tuple[str, str], SourceAnswer] = {}
    for answer in answers:
        known = found.get((answer.dataset, answer.source))
        if known is None:
            found[answer.dataset, answer.source] = answer
            continue
        worst = answer if known.status == "ok" or (known.status == "stale" and answer.status != "ok") else known
        rows = None if known.rows is None or answer.rows is None else known.rows + answer.rows
        as_of = min((moment for moment in (known.as_of, answer.as_of) if moment), default=None)
        elapsed = max(known.elapsed_ms or 0, answer.elapsed_ms or 0)
        found[answer.dataset, answer.source] = replace(worst, rows=rows, as_of=as_of, elapsed_ms=elapsed)
    return list(found.values())


async def ask_groups(asking: Asking, plan: Plan, max_age: int | None) -> dict[str, tuple[pa.Table, Coverage]]:
    """The groups that the sources make, by the scan's name. Raises one of `CANNOT_GROUP` where rows must be asked instead."""
    wanted = [scan for scan in plan.scans if isinstance(scan, Groups)]
    found = await asyncio.gather(*(_groups(asking, scan, max_age) for scan in wanted))
    return {scan.name: part for scan, part in zip(wanted, found, strict=True)}


async def _groups(asking: Asking, scan: Groups, max_age: int | None) -> tuple[pa.Table, Coverage]:
    question = Question.model_validate(
        {"measures": dict(scan.measures), "by": dict(scan.by), "filter": scan.filter, "known_at": asking.known_at, "max_age": max_age}
    )
    finished, coverage = await aggregate(asking.runtime, asking.caller, scan.dataset, question, asking.sources, asking.named)
    return finished.table, coverage


@asynccontextmanager
async def computing(asking: Asking, plan: Plan, groups: dict[str, tuple[pa.Table, Coverage]], workers: Workers, written: str) -> AsyncIterator[Computed]:
    """A statement being computed, which was `written` so; nothing of it is left at the end, however it ends."""
    feeds = {scan.name: Feed(asking, scan) for scan in plan.scans if not isinstance(scan, Groups)}
    for feed in feeds.values():
        if feed.wanted.bound is not None:
            feed.after = feeds[feed.wanted.bound.other]
            feed.after.gives = feed.wanted.bound.by
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workers.place(asking.caller.subject, light=plan.light))
        for feed in feeds.values():
            feed.start()
            stack.push_async_callback(feed.stop)
        wanted = {
            "sql": plan.sql,
            "scans": [scan.name for scan in plan.scans],
            "once": plan.once,
            "seconds": asking.passage.remaining_s + _GRACE_S,
            "timezone": asking.runtime.settings.timezone,
            "batch_rows": BATCH_ROWS,
        }
        job = await stack.enter_async_context(workers.job(wanted, len(plan.scans)))  # while the sources begin
        for feed in feeds.values():
            await feed.opened.wait()
            if feed.failure is not None:
                raise feed.failure
        for scan, way in zip(plan.scans, job.scans, strict=True):
            if scan.name in feeds:
                feeds[scan.name].send_to(way)
            else:
                task = asyncio.create_task(send_table(way, groups[scan.name][0]))
                stack.callback(task.cancel)
        frames = _Frames(asking, job, list(feeds.values()), FailedPlace(written, plan.sql))
        answers = [answer for _, coverage in groups.values() for answer in coverage.sources]
        limited = any(coverage.limited for _, coverage in groups.values())
        yield Computed(asking, await frames.schema(), frames.batches(), answers, list(feeds.values()), limited)


@dataclass
class _Frames:
    """What the process sends, read as rows."""

    asking: Asking
    job: Job
    feeds: Sequence[Feed]
    failed: FailedPlace
    _schema: pa.Schema | None = None

    async def schema(self) -> pa.Schema:
        kind, content = await self._next()
        if kind != "S":
            raise SqlFailed("The statement gave no columns.")
        self._schema = pa.ipc.read_schema(pa.py_buffer(content))
        check_columns(self._schema)
        return self._schema

    async def batches(self) -> AsyncIterator[pa.RecordBatch]:
        while True:
            kind, content = await self._next()
            if kind == "D":
                break
            yield pa.ipc.read_record_batch(pa.py_buffer(content), self._schema)
        for feed in self.feeds:
            await feed.stop()
            if feed.failure is not None:
                raise feed.failure

    async def _next(self) -> tuple[str, bytes]:
        try:
            async with asyncio.timeout(self.asking.passage.remaining_s):
                kind, content = await self.job.frame()
        except TimeoutError:
            raise SqlTimeout("The statement was not finished in the time that it had.") from None
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise self._ended() from error
        if kind == "E":
            raise self._failed(json.loads(content))
        return kind, content

    def _ended(self) -> Exception:
        if failure := next((feed.failure for feed in self.feeds if feed.failure is not None), None):
            return failure if isinstance(failure, Exception) else SqlFailed("A source ended.")
        if self.asking.passage.ends <= time.monotonic():
            return SqlTimeout("The statement was not finished in the time that it had.")
        return SqlTooLarge("The process that computed the statement was ended: it needed more memory than it may have.")

    def _failed(self, said: dict[str, Any]) -> Exception:
        if failure := next((feed.failure for feed in self.feeds if isinstance(feed.failure, Exception)), None):
            return failure
        message = str(said.get("detail", ""))
        detail = message.partition("\n")[0].strip()
        if said.get("kind") == "OutOfMemoryException":
            return SqlTooLarge(detail[:300] or "Out of memory.")
        return SqlFailed(detail[:500] or "DuckDB could not compute it.", **self.failed.of(message))
