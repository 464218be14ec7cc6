"""From a question to an answer: the statement read, resolved, planned; asked, computed, held back while it is small."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa

from services.hub.federation.ask import targets
from services.hub.federation.domain import coverage_of
from services.hub.sql.allowed import check
from services.hub.sql.computing import CANNOT_GROUP, Computed, ask_groups, computing
from services.hub.sql.domain import SOURCE, Catalogue, Groups, Plan, Rows
from services.hub.sql.feeding import Asking
from services.hub.sql.params import bind, fix_now
from services.hub.sql.planning import plan
from services.hub.sql.problems import SqlTimeout, SqlTooComplex
from services.hub.sql.resolve import dataset_of, note_named, resolve
from services.hub.sql.schemas import SqlExplained, SqlQuestion
from services.hub.sql.statement import Statement, read
from services.hub.sql.tables import catalogue_of
from services.hub.state import Hub
from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer
from shared.passage import Passage
from shared.service import Runtime

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Read:
    """A statement as it was understood, with its plan; `spare` is the plan if sources cannot make the groups."""

    statement: Statement
    catalogue: Catalogue
    plan: Plan | None = None
    spare: Plan | None = None


async def answer(runtime: Runtime, caller: Caller, question: SqlQuestion, passage: Passage, stack: AsyncExitStack) -> Computed | dict[str, Any]:
    """Rows on their way, or what SHOW TABLES, DESCRIBE and EXPLAIN say. What is open is closed with `stack`."""
    hub: Hub = runtime.own
    named = frozenset(question.sources) if question.sources else None
    understood = await _in_time(passage, hub.sql.read(lambda: _understand(runtime, caller, question, named)))
    if understood.plan is None:
        return _described(runtime, caller, understood)
    asking = Asking.begun(runtime, caller, passage, named, question.known_at.isoformat() if question.known_at else None)
    aims = targets(runtime, caller, {scan.name: scan.dataset for scan in understood.plan.scans}, named) if understood.plan.scans else {}
    if question.explain or understood.statement.explain:
        sources = {name: [source.name for source in aim.sources] for name, aim in aims.items()}
        return _explained(understood.plan, sources, hub.sql.isolation)
    hub.sql.warm()
    return await _in_time(passage, _computed(asking, understood, question, stack))


async def _in_time(passage: Passage, work: Awaitable[Found]) -> Found:
    try:
        async with asyncio.timeout(passage.remaining_s):
            return await work
    except TimeoutError:
        raise SqlTimeout("The statement was not finished in the time that it had.") from None


async def _computed(asking: Asking, understood: Read, question: SqlQuestion, stack: AsyncExitStack) -> Computed:
    assert understood.plan is not None
    assert understood.spare is not None
    chosen = understood.plan
    hub: Hub = asking.runtime.own
    try:
        groups = await ask_groups(asking, chosen, question.max_age)
    except CANNOT_GROUP:
        chosen, groups = understood.spare, {}
    found = await stack.enter_async_context(computing(asking, chosen, groups, hub.sql, understood.statement.text))
    if not chosen.scans:
        found.answers.append(_own_word(asking.runtime, 1))
    await found.hold()
    if found.whole:
        found.coverage(strict=question.strict)
    return found


def _understand(runtime: Runtime, caller: Caller, question: SqlQuestion, named: frozenset[str] | None) -> Read:
    statement = read(question.sql)
    catalogue = catalogue_of(runtime, caller, named)
    note_named(statement, [*runtime.own.registry.offers(cities=True), *(own.id for own in runtime.service.datasets)])
    if statement.kind != "select":
        return Read(statement, catalogue)
    zone = ZoneInfo(runtime.settings.timezone)
    try:
        check(statement)
        tree = fix_now(bind(statement, question.params or ()), datetime.fromtimestamp(time.time(), zone))
        tree = resolve(statement, tree, catalogue)
        spare = plan(statement, tree, catalogue, zone, question.limit, groups=False)
        return Read(statement, catalogue, plan(statement, tree, catalogue, zone, question.limit), spare)
    except RecursionError as error:
        raise SqlTooComplex("The statement is nested too deeply.") from error


def _described(runtime: Runtime, caller: Caller, understood: Read) -> dict[str, Any]:
    """What SHOW TABLES and DESCRIBE say."""
    statement = understood.statement
    if statement.kind == "tables":
        names = ("table", "title_en", "title_zh")
        rows = [[table.dataset, table.title.get("en"), table.title.get("zh")] for _, table in sorted(understood.catalogue.items())]
    else:
        table = dataset_of(statement, statement.tree.this, understood.catalogue)
        names = ("column", "type", "unit", "title_en", "title_zh")  # type: ignore[assignment]
        rows = [[column.name, column.kind, column.unit, column.title.get("en"), column.title.get("zh")] for column in table.columns.values()]
        rows.append([SOURCE, "string", None, "Source of the row", "数据来源"])
    coverage = coverage_of(caller, [_own_word(runtime, len(rows))], limited=False)
    return {"columns": [{"name": name, "type": "string"} for name in names], "rows": rows, "coverage": coverage.as_dict()}


def _own_word(runtime: Runtime, rows: int) -> SourceAnswer:
    """What the hub answers of itself: nobody else was asked."""
    return SourceAnswer(source=runtime.settings.audience, dataset="hub.catalog", status="ok", rows=rows, as_of=datetime.now(UTC), served_from="catalogue")


def _explained(chosen: Plan, sources: Mapping[str, list[str]], isolation: tuple[str, ...]) -> dict[str, Any]:
    scans = [{"scan": scan.name, "dataset": scan.dataset, "sources": sources.get(scan.name, []), **_asked(scan)} for scan in chosen.scans]
    return SqlExplained(scans=scans, rest=chosen.sql, light=chosen.light, isolation=list(isolation)).model_dump()


def _asked(scan: Rows | Groups) -> dict[str, Any]:
    if isinstance(scan, Groups):
        return {"asked": "groups", "by": dict(scan.by), "measures": {name: dict(spec) for name, spec in scan.measures.items()}, "filter": scan.filter}
    bound = {"bound": f"{scan.bound.column} to the values of {scan.bound.by} in {scan.bound.other}"} if scan.bound else {}
    return {"asked": "rows", "columns": list(scan.columns), "filter": scan.filter, "limit": scan.limit, **bound}


@dataclass
class Counted:
    """Rows up to a limit, and whether there were more."""

    batches: AsyncIterator[pa.RecordBatch]
    limit: int
    more: bool = False

    async def cut(self) -> AsyncIterator[pa.RecordBatch]:
        rows = 0
        async for batch in self.batches:
            self.more = self.more or rows + batch.num_rows > self.limit
            part = batch.slice(0, max(0, self.limit - rows))
            rows += part.num_rows
            if part.num_rows:
                yield part
