"""Which rows a question yields: box, time, filter, parameters; and how a bad question is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from ops.conform.model import Check, Skipped, fail, must, table
from ops.conform.subject import NUMERIC, Field, Row, Shared, Subject
from shared.vocabulary import Text

NO_FIELD = "no_such_field_a1b2"
Expected = Callable[[Any], bool]


async def _yields(subject: Subject, shared: Shared, params: dict[str, str], expected: set[str], what: str) -> None:
    rows, _ = await subject.walk(shared, params)
    ids = {row.id for row in rows}
    must(not ids - expected, f"{what} yields the row {next(iter(ids - expected), '')!r}, which does not meet it.")
    must(not expected - ids, f"{what} does not yield the row {next(iter(expected - ids), '')!r}, which meets it.")


def envelope(geometry: Any) -> tuple[float, float, float, float] | None:
    """West, south, east, north of a GeoJSON geometry; None if it has none."""
    points: list[tuple[float, float]] = []
    waiting = [geometry.get("coordinates"), *(geometry.get("geometries") or ())] if isinstance(geometry, dict) else []
    while waiting and len(points) < 2_000_000:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [part.get("coordinates"), *(part.get("geometries") or ())]
        elif isinstance(part, list) and len(part) >= 2 and all(isinstance(one, int | float) for one in part[:2]):
            points.append((part[0], part[1]))
        elif isinstance(part, list):
            waiting += part
    if not points:
        return None
    lons, lats = zip(*points, strict=True)
    return min(lons), min(lats), max(lons), max(lats)


def _meets(one: tuple[float, float, float, float], box: tuple[float, float, float, float], slack: float = 0.0) -> bool:
    return one[0] <= box[2] + slack and one[2] >= box[0] - slack and one[1] <= box[3] + slack and one[3] >= box[1] - slack


async def bbox(subject: Subject, shared: Shared) -> None:
    if shared.geometry is None:
        reply = await subject.asker.get(f"{shared.path}/items", {"bbox": "0,0,1,1"})
        must(reply.status == 400, f"bbox on a dataset without geometry answers {reply.status}, not 400.")
        return
    found = await subject.rows(shared)
    extents = {row.id: extent for row in found.rows if (extent := envelope(row.geometry)) is not None}
    if not extents:
        raise Skipped("no row has a geometry")
    lons, lats = sorted(one[0] for one in extents.values()), sorted(one[1] for one in extents.values())
    low, high = len(lons) // 4, 3 * len(lons) // 4
    for box in ((lons[low], -90.0, lons[high], 90.0), (-180.0, lats[low], 180.0, lats[high]), (lons[0], lats[0], lons[0], lats[0])):
        slack = 0.0 if shared.geometry == "geometry-point" else 1e-6
        unsure = {name for name, extent in extents.items() if _meets(extent, box, slack) != _meets(extent, box, -slack)}
        rows, _ = await subject.walk(shared, {**found.records, "bbox": ",".join(map(repr, box))})
        ids = {row.id for row in rows} - unsure
        expected = {name for name, extent in extents.items() if _meets(extent, box)} - unsure
        must(
            ids == expected,
            f"bbox={box} yields {len(ids)} rows; {len(expected)} lie in it, its edges included (first difference: {sorted(ids ^ expected)[:1]}).",
        )


async def interval(subject: Subject, shared: Shared) -> None:
    if shared.time is None:
        reply = await subject.asker.get(f"{shared.path}/items", {"datetime": "2026-01-01T00:00:00Z/.."})
        must(reply.status == 400, f"datetime on a dataset without a time answers {reply.status}, not 400.")
        return
    found, field = await subject.rows(shared), shared.fields[shared.time]
    texts = sorted((row.values[shared.time] for row in found.rows if row.values[shared.time] is not None), key=field.value)
    if not texts:
        raise Skipped("no row has a time")
    start, end = texts[len(texts) // 4], texts[3 * len(texts) // 4]
    windows = [f"{start}/{end}", str(start), f"{texts[0]}/{texts[-1]}"] + ([] if "datetime" in found.records else [f"{end}/..", f"../{start}"])
    for window in windows:
        first, _, last = window.partition("/")
        low, high = (None if edge == ".." else field.value(edge) for edge in (first, last or first))
        expected = {row.id for row in found.rows if _within(field.value(row.values[shared.time]), low, high)}
        await _yields(subject, shared, {**found.records, "datetime": window}, expected, f"datetime={window} (closed at both ends)")


def _within(value: Any, low: Any, high: Any) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def conditions(field: Field, rows: list[Row]) -> Iterator[tuple[str, dict[str, Any] | None, Expected]]:
    """CQL2 conditions on a field, as text and as JSON, with what they mean."""
    values = [row.values[field.name] for row in rows if row.values[field.name] is not None]
    name = field.name
    yield f"{name} IS NULL", {"op": "isNull", "args": [{"property": name}]}, lambda value: value is None
    if not values:
        return
    common = Counter(map(str, values)).most_common(1)[0][0]
    if field.type == "string" and len(common) <= 200 and common.isprintable():
        quoted = common.replace("'", "''")
        yield f"{name} = '{quoted}'", {"op": "=", "args": [{"property": name}, common]}, lambda value: value == common
        yield f"NOT ({name} = '{quoted}') OR {name} IS NULL", None, lambda value: value != common
    elif field.type in NUMERIC:
        low, high = sorted(values)[len(values) // 4], sorted(values)[3 * len(values) // 4]
        low_text = f"{low!r}" if "e" not in repr(low) else f"{low:f}"
        high_text = f"{high!r}" if "e" not in repr(high) else f"{high:f}"
        yield f"{name} >= {low_text} AND {name} < {high_text}", None, lambda value: value is not None and float(low_text) <= value < float(high_text)
        yield f"{name} > {low_text}", {"op": ">", "args": [{"property": name}, float(low_text)]}, lambda value: value is not None and value > float(low_text)
    elif field.type == "boolean":
        yield f"{name} = true", {"op": "=", "args": [{"property": name}, True]}, lambda value: value is True
    elif field.type in ("datetime", "date"):
        edge, literal = sorted(values, key=field.value)[len(values) // 2], "TIMESTAMP" if field.type == "datetime" else "DATE"
        yield f"{name} <= {literal}('{edge}')", None, lambda value: value is not None and field.value(value) <= field.value(edge)


async def cql(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    asked: set[str] = set()
    for field in shared.fields.values():
        for text, as_json, meets in conditions(field, found.rows):
            kind = f"{field.type} {text.replace(field.name, '')[:6]}"
            if kind in asked:
                continue
            asked.add(kind)
            expected = {row.id for row in found.rows if meets(row.values[field.name])}
            await _yields(subject, shared, found.filtered(text), expected, f"filter={text}")
            if as_json is not None and "filter" not in found.records:
                params = {**found.records, "filter": orjson.dumps(as_json).decode(), "filter-lang": "cql2-json"}
                await _yields(subject, shared, params, expected, f"{text} as CQL2 JSON")


async def parameters(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    for field in (field for field in shared.fields.values() if field.type == "string"):
        value = next((row.values[field.name] for row in found.rows if row.values[field.name]), None)
        if isinstance(value, str) and len(value) < 200 and value.isprintable():
            expected = {row.id for row in found.rows if row.values[field.name] == value}
            await _yields(subject, shared, {**found.records, field.name: value}, expected, f"{field.name}={value}")
            return
    raise Skipped("no text to ask for")


BAD: tuple[tuple[str, str, int], ...] = (
    ("bbox", "1,2,3", 400),
    ("bbox", "east,of,the,sun", 400),
    ("bbox", "nan,0,1,1", 400),
    ("datetime", "yesterday", 400),
    ("datetime", "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z", 400),
    ("filter", f"{NO_FIELD} = 1", 400),
    ("filter", "((", 400),
    ("filter-lang", "sql", 400),
    ("sortby", NO_FIELD, 400),
    ("properties", NO_FIELD, 400),
    (NO_FIELD, "x", 400),
    ("limit", "0", 400),
    ("limit", "-1", 400),
    ("limit", "many", 400),
    ("known_at", "2026-01-01T00:00:00", 400),
    ("token", "not-a-token", 400),
    ("crs", "urn:nowhere", 400),
    ("f", "shapefile", 406),
)
"""Parameter, value, status. Each must be answered by a problem whose pointer names the parameter."""


async def bad(subject: Subject, shared: Shared) -> None:
    for name, value, status in BAD:
        params = {name: value} | ({"filter": "1=1"} if name == "filter-lang" else {})
        if (name == "bbox" and shared.geometry is None) or (name == "datetime" and shared.time is None):
            continue
        reply = await subject.asker.get(f"{shared.path}/items", params)
        what = f"{name}={value}"
        must(reply.status == status, f"{what} answers {reply.status}, not {status}.")
        must(reply.media_type == "application/problem+json", f"{what} is answered as {reply.media_type}, not application/problem+json.")
        told = table(reply.json(), what)
        must(str(told.get("pointer", "")).startswith(f"/{name}"), f"The problem of {what} points to {told.get('pointer')!r}, not to /{name}.")
        must(told.get("detail") and told.get("status") == status, f"The problem of {what} has no detail, or another status.")


async def missing(subject: Subject) -> None:
    for path in ("/collections/no.such/items", "/collections/no.such", "/collections/no.such/schema"):
        reply = await subject.asker.get(path)
        if reply.status != 404:
            fail(f"GET {path} answers {reply.status}, not 404.")


_O = "OGC 17-069r4, "
CHECKS = (
    Check(id="records.missing", clause=f"{_O}7.5", title=Text("没有的数据集答 404", "A dataset that is not there is 404"), server=missing),
    Check(id="records.bbox", clause=f"{_O}7.15.3", title=Text("范围框，含边界", "Box, its edges included"), dataset=bbox),
    Check(id="records.datetime", clause=f"{_O}7.15.4", title=Text("时间区间，两端闭合", "Time, closed at both ends"), dataset=interval),
    Check(id="records.filter", clause="OGC 21-065r2 (CQL2); 19-079r2", title=Text("CQL2 条件", "CQL2 filter"), dataset=cql),
    Check(id="records.parameters", clause=f"{_O}7.15.5; 19-079r2, 6.3", title=Text("以字段为参数", "Fields as parameters"), dataset=parameters),
    Check(id="records.bad", clause="RFC 9457; contract: problems", title=Text("错误的问题答明错在何处", "Bad questions name what is wrong"), dataset=bad),
)
