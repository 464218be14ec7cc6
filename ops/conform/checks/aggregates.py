"""Aggregates: the same cells in every form, and the numbers that the rows themselves give."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ops.conform.asking import Reply
from ops.conform.checks.questions import NO_FIELD, conditions
from ops.conform.checks.records import ARROW
from ops.conform.model import Check, Skipped, listed, must, table
from ops.conform.reading import arrow_rows, close, csv_rows
from ops.conform.subject import NUMERIC, Field, Shared, Slice, Subject, moment
from shared.vocabulary import Text

COUNT = {"n": {"fn": "count"}}
SHANGHAI = "Asia/Shanghai"
Cells = list[dict[str, Any]]


def cells_of(reply: Reply) -> Cells:
    """The rows of a finished answer, by the names of its columns."""
    told = table(reply.ok().json(), reply.asked)
    columns = [table(column, "A column") for column in listed(told.get("columns"), "columns")]
    names = [str(column.get("name")) for column in columns]
    must(all(column.get("role") in ("dimension", "measure") and isinstance(column.get("type"), str) for column in columns), "A column has no role or type.")
    rows = [listed(row, "A row") for row in listed(told.get("rows"), "rows")]
    must(all(len(row) == len(names) for row in rows), "A row has another number of values than there are columns.")
    return [dict(zip(names, row, strict=True)) for row in rows]


async def _ask(subject: Subject, shared: Shared, found: Slice, question: Mapping[str, Any]) -> Cells:
    return cells_of(await subject.aggregate(shared, {"measures": COUNT, **found.aggregate, **question}))


def _field(shared: Shared, found: Slice, *types: str) -> Field:
    """The field of these types with the most values; `Skipped` if no row has one."""
    sizes = {field.name: sum(row.values[field.name] is not None for row in found.rows) for field in shared.fields.values() if field.type in types}
    best = max(sizes, key=lambda name: sizes[name], default=None)
    if best is None or not sizes[best]:
        raise Skipped(f"no row has a value of type {' or '.join(types)}")
    return shared.fields[best]


def _compare(shared: Shared, counted: Mapping[Any, int], expected: Mapping[Any, int], what: str) -> None:
    """Counts by group; groups below the dataset's smallest are suppressed."""
    wanted = {group: count for group, count in expected.items() if count >= shared.smallest_group}
    differing = next((group for group in {*wanted, *counted} if wanted.get(group) != counted.get(group)), ...)
    must(differing is ..., f"{what}: the group {differing!r} has {counted.get(differing)} in the aggregate and {wanted.get(differing)} among the rows.")


async def forms(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    field = _field(shared, found, "string")
    question = {"measures": COUNT, "by": {"x": field.name}, **found.aggregate, "limit": 50}
    cells = cells_of(await subject.aggregate(shared, question))
    as_csv = await subject.aggregate(shared, question, Accept="text/csv")
    as_arrow = await subject.aggregate(shared, question, Accept=ARROW)
    must(as_csv.ok().media_type == "text/csv" and as_arrow.ok().media_type == ARROW, f"Aggregates come as {as_csv.media_type} and {as_arrow.media_type}.")
    plain = [(cell["x"] or None, cell["n"]) for cell in cells]
    must([(row["x"], int(row["n"])) for row in csv_rows(as_csv)] == plain, "CSV holds other cells than JSON.")
    must([(row["x"] or None, row["n"]) for row in arrow_rows(as_arrow)] == plain, "Arrow holds other cells than JSON.")


async def coverage(subject: Subject, shared: Shared) -> None:
    told = table((await subject.aggregate(shared, {"measures": COUNT})).ok().json(), "The aggregate")
    covered = table(told.get("coverage"), "coverage")
    sources = listed(covered.get("sources"), "coverage.sources")
    must(covered.get("complete") is True and sources, f"The coverage of the service's own answer is not complete: {covered}.")
    name = f"{(await subject.capabilities()).get('city')}/{await subject.name()}"
    first = table(sources[0], "A source")
    must(
        first.get("source") == name and first.get("dataset") == shared.id,
        f"The coverage names {first.get('source')}, {first.get('dataset')}; {name}, {shared.id} is expected.",
    )
    must(first.get("status") == "ok", f"The source's status is {first.get('status')!r}.")
    moment(covered.get("as_of"))
    table(covered.get("scope"), "coverage.scope")


async def count(subject: Subject, shared: Shared) -> None:
    found = await subject.slice(shared)
    cells = await _ask(subject, shared, found, {})
    if shared.smallest_group > len(found.rows):
        raise Skipped("the whole slice is a small group, which is suppressed")
    must(len(cells) == 1 and cells[0]["n"] == len(found.rows), f"count is {cells[0]['n'] if cells else 'absent'}; paging gives {len(found.rows)} rows.")


async def measures(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    field = _field(shared, found, *NUMERIC)
    values = sorted(float(row.values[field.name]) for row in found.rows if row.values[field.name] is not None)
    asked: dict[str, dict[str, Any]] = {fn: {"fn": fn, "field": field.name} for fn in ("count", "sum", "avg", "min", "max", "stddev", "distinct")}
    asked |= {f"q{share}": {"fn": "quantile", "field": field.name, "q": share / 100} for share in (10, 50, 90)}
    reply = await subject.aggregate(shared, {"measures": asked, **found.aggregate})
    cells = cells_of(reply)
    if not cells and shared.smallest_group:
        raise Skipped("the group is suppressed")
    cell, columns = cells[0], {column["name"]: column for column in reply.json()["columns"]}
    scale = sum(map(abs, values))
    exact = {"count": len(values), "sum": math.fsum(values), "avg": math.fsum(values) / len(values), "min": values[0], "max": values[-1]}
    for name, expected in exact.items():
        must(
            cell[name] is not None and close(cell[name], expected, scale=scale if name in ("sum", "avg") else None),
            f"{name} of {field.name} is {cell[name]}; the rows give {expected}.",
        )
    deviation = statistics.stdev(values) if len(values) > 1 else None
    told = cell["stddev"]
    must(
        told is None if deviation is None else told is not None and close(told, deviation, 1e-6, values[-1] - values[0]),
        f"stddev is {told}; the rows give {deviation}.",
    )
    for share in (10, 50, 90):
        _quantile(values, share / 100, cell[f"q{share}"], columns[f"q{share}"])
    error, true = float(columns["distinct"].get("relative_error") or 0), len(set(values))
    must(
        abs(cell["distinct"] - true) <= max(1.0 if error else 0.0, 5 * error * true),
        f"distinct is {cell['distinct']}; the rows have {true}, the stated error is {error}.",
    )


def _quantile(values: list[float], q: float, told: Any, column: Mapping[str, Any]) -> None:
    """Within the stated error of the values around that rank, whichever of the usual definitions is meant."""
    error, last = float(column.get("relative_error") or 0) + 1e-9, len(values) - 1
    low, high = values[max(0, math.floor(q * last) - 1)], values[min(last, math.ceil(q * last) + 1)]
    good = isinstance(told, int | float) and low - error * abs(low) <= told <= high + error * abs(high)
    must(good, f"The quantile {q} is {told}; the rows give {low} to {high}, and the stated error is {column.get('relative_error')}.")


async def groups(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    field = _field(shared, found, "string")
    cells = await _ask(subject, shared, found, {"by": {"x": field.name}})
    _compare(shared, {cell["x"]: cell["n"] for cell in cells}, Counter(row.values[field.name] for row in found.rows), f"by {field.name}")


async def areas(subject: Subject, shared: Shared) -> None:
    if shared.area is None:
        raise Skipped("the dataset has no areas")
    found = await subject.rows(shared)
    for level in ("city", "district"):
        cells = await _ask(subject, shared, found, {"by": {"x": f"area:{level}"}})
        total = sum(cell["n"] for cell in cells)
        must(total == len(found.rows) or shared.smallest_group, f"by area:{level}: the cells hold {total} rows of {len(found.rows)}.")
        for cell in (cell for cell in cells if cell["x"] is not None and len(str(cell["x"])) == {"city": 4, "district": 6}[level]):
            under = sum(str(row.values[shared.area]).startswith(str(cell["x"])) for row in found.rows)
            must(cell["n"] >= under or shared.smallest_group, f"by area:{level}: {cell['x']} holds {cell['n']} rows; {under} have a code below it.")


async def times(subject: Subject, shared: Shared) -> None:
    if shared.time is None or shared.fields[shared.time].type != "datetime":
        raise Skipped("the dataset has no moments")
    found = await subject.rows(shared)
    moments = [None if (text := row.values[shared.time]) is None else moment(text) for row in found.rows]
    for unit, zone in (("day", SHANGHAI), ("day", "UTC"), ("hour", SHANGHAI), ("month", SHANGHAI), ("week", SHANGHAI)):
        cells = await _ask(subject, shared, found, {"by": {"x": f"time:{unit}"}, "tz": zone})
        told = {None if cell["x"] is None else moment(cell["x"]): cell["n"] for cell in cells}
        expected = Counter(None if one is None else _begin(one.astimezone(ZoneInfo(zone)), unit) for one in moments)
        _compare(shared, told, expected, f"by time:{unit} in {zone}")


def _begin(local: datetime, unit: str) -> datetime:
    """The beginning of the hour, day, week (Monday) or month."""
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if unit == "month" else day - timedelta(days=day.weekday()) if unit == "week" else day


async def order(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    texts = [field for field in shared.fields.values() if field.type == "string"]
    if not texts:
        raise Skipped("the dataset has no texts to group by")
    field = max(texts, key=lambda text: len(set(Counter(row.values[text.name] for row in found.rows).values())))  # groups of different sizes
    question = {"by": {"x": field.name}, "sortby": ["-n", "x"]}
    cells = await _ask(subject, shared, found, question)
    counts = [cell["n"] for cell in cells]
    must(counts == sorted(counts, reverse=True), "sortby=-n does not sort the cells.")
    upwards = [cell["n"] for cell in await _ask(subject, shared, found, {**question, "sortby": ["n"]})]
    must(upwards == sorted(counts), "sortby=n does not sort the cells.")
    fewer = await _ask(subject, shared, found, {**question, "limit": 2})
    must(fewer == cells[:2], "limit=2 does not give the first two cells.")
    edge = counts[len(counts) // 2] if counts else 1
    kept = await _ask(subject, shared, found, {**question, "having": f"n >= {edge}"})
    must(
        kept == [cell for cell in cells if cell["n"] >= edge],
        f"having n >= {edge} keeps {len(kept)} of the {sum(n >= edge for n in counts)} cells that meet it.",
    )


async def filtered(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    if "filter" in found.aggregate:
        raise Skipped("the slice is a filter itself")
    field = _field(shared, found, "string", *NUMERIC)
    text, _, meets = list(conditions(field, found.rows))[-1]
    expected = sum(meets(row.values[field.name]) for row in found.rows)
    cells = await _ask(subject, shared, found, {"filter": text})
    must((cells[0]["n"] if cells else 0) == expected or expected < shared.smallest_group, f"filter={text} counts {cells[:1]}; {expected} rows meet it.")


async def short(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    field = _field(shared, found, "string")
    cells = await _ask(subject, shared, found, {"by": {field.name: field.name}, "limit": 20})
    pinned = [("known_at", subject.pinned[shared.id])] if shared.id in subject.pinned else []
    params = [("measure", "n:count"), ("by", field.name), ("limit", "20"), *found.aggregate.items(), *pinned]
    told = cells_of(await subject.asker.get(f"{shared.path}/aggregate", params))
    must(told == cells, "GET …/aggregate answers otherwise than POST with the same question.")


async def bad(subject: Subject, shared: Shared) -> None:
    questions: list[tuple[str, Any]] = [
        ("no measures", {}),
        ("an unknown function", {"measures": {"n": {"fn": "mode"}}}),
        ("an unknown field", {"measures": {"n": {"fn": "sum", "field": NO_FIELD}}}),
        ("an unknown dimension", {"measures": COUNT, "by": {"x": NO_FIELD}}),
        ("an unknown level", {"measures": COUNT, "by": {"x": "area:galaxy"}}),
        ("an unknown zone", {"measures": COUNT, "tz": "Mars/Olympus"}),
        ("a filter on an unknown field", {"measures": COUNT, "filter": f"{NO_FIELD} = 1"}),
        ("having without such a column", {"measures": COUNT, "having": f"{NO_FIELD} > 1"}),
        ("sortby without such a column", {"measures": COUNT, "sortby": [NO_FIELD]}),
        ("limit 0", {"measures": COUNT, "limit": 0}),
        ("until before from", {"measures": COUNT, "from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}),
        ("an unknown member", {"measures": COUNT, NO_FIELD: 1}),
        ("a list", []),
    ]
    for what, question in questions:
        reply = await subject.asker.ask("POST", f"{shared.path}/aggregate", json=question)
        must(reply.status in (400, 422), f"An aggregate with {what} answers {reply.status}, not 400 or 422.")
        must(
            reply.media_type == "application/problem+json" and table(reply.json(), what).get("detail"),
            f"An aggregate with {what} is not answered by a problem.",
        )


_C = "Contract: aggregates"
CHECKS = (
    Check(id="aggregates.forms", clause=_C, title=Text("JSON、CSV、Arrow 相同", "JSON, CSV and Arrow hold the same cells"), dataset=forms),
    Check(id="aggregates.coverage", clause="Contract: coverage", title=Text("覆盖说明", "Coverage"), dataset=coverage),
    Check(id="aggregates.count", clause=_C, title=Text("计数等于翻页所得", "The count is that of the rows"), dataset=count),
    Check(id="aggregates.measures", clause=_C, title=Text("度量与各行一致", "Measures agree with the rows"), dataset=measures),
    Check(id="aggregates.groups", clause=_C, title=Text("按字段分组", "By a field"), dataset=groups),
    Check(id="aggregates.areas", clause=_C, title=Text("按区域级别分组", "By area level"), dataset=areas),
    Check(id="aggregates.times", clause=_C, title=Text("按时间单位与时区分组", "By time unit and zone"), dataset=times),
    Check(id="aggregates.order", clause=_C, title=Text("having、排序与行数", "having, order and limit"), dataset=order),
    Check(id="aggregates.filter", clause=f"{_C}; OGC 21-065r2", title=Text("条件", "Filter"), dataset=filtered),
    Check(id="aggregates.short", clause=_C, title=Text("GET 短写相同", "The short form by GET"), dataset=short),
    Check(id="aggregates.bad", clause="RFC 9457; contract: problems", title=Text("错误的问题答为问题", "Bad questions are problems"), dataset=bad),
)
