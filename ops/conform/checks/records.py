"""Rows: their form as GeoJSON, CSV and Arrow, pages, order, single rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ops.conform.asking import Reply
from ops.conform.model import Check, Skipped, fail, must, table
from ops.conform.reading import arrow_rows, csv_rows, same, well_typed
from ops.conform.subject import NUMERIC, Row, Shared, Subject, moment
from shared.vocabulary import Text

ARROW = "application/vnd.apache.arrow.stream"


def item_path(shared: Shared, feature_id: str) -> str:
    return f"{shared.path}/items/{quote(feature_id, safe='')}"


async def geojson(subject: Subject, shared: Shared) -> None:
    reply = (await subject.asker.get(f"{shared.path}/items", {"limit": 50})).ok()
    must(reply.media_type == "application/geo+json", f"Rows come as {reply.media_type or 'nothing'}, not application/geo+json.")
    rows, _, document = await subject.page(shared, {"limit": 50})
    must(document.get("type") == "FeatureCollection", "The answer is no FeatureCollection.")
    must(document.get("numberReturned") == len(rows), f"numberReturned is {document.get('numberReturned')!r} and there are {len(rows)} features.")
    moment(document.get("timeStamp"))
    for row in rows:
        unknown = set(row.values) - set(shared.fields)
        must(not unknown, f"A row has the property {sorted(unknown)[:1]}, which the schema does not.")
        absent = set(shared.fields) - set(row.values)
        must(not absent, f"A row lacks the property {sorted(absent)[:1]}.")
        for name, value in row.values.items():
            must(well_typed(shared.fields[name], value), f"{name} of the row {row.id} is {value!r}, not what the schema says ({shared.fields[name].type}).")
        _placed(shared, row)


def _placed(shared: Shared, row: Row) -> None:
    """RFC 7946: longitude first, WGS 84."""
    if row.geometry is None:
        return
    found = table(row.geometry, f"The geometry of {row.id}")
    if shared.geometry is None:
        fail(f"The row {row.id} has a geometry, which the schema does not.")
    if found.get("type") == "Point":
        at = found.get("coordinates")
        good = isinstance(at, list) and len(at) >= 2 and all(isinstance(one, int | float) for one in at[:2]) and abs(at[0]) <= 180 and abs(at[1]) <= 90
        must(good, f"The point of the row {row.id} is {at!r}.")


async def _as_table(subject: Subject, shared: Shared, form: str, media_type: str) -> tuple[Reply, list[Row]]:
    """The same page in a form and as GeoJSON; by the Accept header, and by `f`."""
    found = await subject.rows(shared)
    pinned = {"known_at": subject.pinned[shared.id]} if shared.id in subject.pinned else {}
    params = {**found.records, **pinned, "limit": 50}
    rows, _, _ = await subject.page(shared, params)
    reply = (await subject.asker.get(f"{shared.path}/items", params, headers={"Accept": media_type})).ok()
    named = (await subject.asker.get(f"{shared.path}/items", {**params, "f": form})).ok()
    must(reply.media_type == named.media_type == media_type, f"f={form} comes as {named.media_type}, Accept: {media_type} as {reply.media_type}.")
    return named, rows


def _equal(shared: Shared, rows: list[Row], found: list[dict[str, Any]], form: str) -> None:
    must(len(found) == len(rows), f"{form} has {len(found)} rows, GeoJSON {len(rows)}.")
    for row, other in zip(rows, found, strict=True):
        if "id" not in shared.fields:
            must(other.get("id") == row.id, f"{form} has the row {other.get('id')!r} where GeoJSON has {row.id!r}.")
        wrong = next((name for name, field in shared.fields.items() if not same(field, row.values[name], other.get(name))), None)
        must(wrong is None, f"{wrong} of the row {row.id} is {other.get(wrong or '')!r} in {form} and {row.values.get(wrong or '')!r} in GeoJSON.")


async def as_csv(subject: Subject, shared: Shared) -> None:
    reply, rows = await _as_table(subject, shared, "csv", "text/csv")
    _equal(shared, rows, csv_rows(reply), "CSV")


async def as_arrow(subject: Subject, shared: Shared) -> None:
    reply, rows = await _as_table(subject, shared, "arrow", ARROW)
    _equal(shared, rows, arrow_rows(reply), "Arrow")


async def limit(subject: Subject, shared: Shared) -> None:
    for most in (1, 2):
        rows, _, _ = await subject.page(shared, {"limit": most})
        must(len(rows) <= most, f"limit={most} gives {len(rows)} rows.")
    found = await subject.rows(shared)
    rows, _, _ = await subject.page(shared, {**found.records, "limit": 1})
    must(len(rows) == 1, f"limit=1 gives {len(rows)} rows of {len(found.rows)}.")


async def paging(subject: Subject, shared: Shared) -> None:
    rows, _ = await subject.walk(shared, {}, most=100, page=7)
    again, _ = await subject.walk(shared, {}, most=100, page=7)
    larger, _ = await subject.walk(shared, {}, most=100, page=100)
    must([row.id for row in rows] == [row.id for row in again], "Paging twice through the same question gives another order or other rows.")
    must([row.id for row in rows] == [row.id for row in larger], "Pages of 7 rows give other rows than pages of 100.")
    found = await subject.rows(shared)
    size = max(1, len(found.rows) // 5)
    all_of_them, more = await subject.walk(shared, found.records, page=size)
    must(
        not more and {row.id for row in all_of_them} == {row.id for row in found.rows},
        f"Pages of {size} rows give {len(all_of_them)} rows, larger ones {len(found.rows)}.",
    )


async def item(subject: Subject, shared: Shared) -> None:
    row = (await subject.rows(shared)).rows[0]
    pinned = {"known_at": subject.pinned[shared.id]} if shared.id in subject.pinned else {}
    reply = (await subject.asker.get(item_path(shared, row.id), pinned)).ok()
    told = table(reply.json(), reply.asked)
    must(told.get("id") == row.id and told.get("type") == "Feature", f"{reply.asked} is not the row {row.id}.")
    values: Mapping[str, Any] = table(told.get("properties"), "properties")
    wrong = next((name for name, field in shared.fields.items() if not same(field, row.values.get(name), values.get(name))), None)
    must(wrong is None, f"{wrong} of the row {row.id} is {values.get(wrong or '')!r} alone and {row.values.get(wrong or '')!r} among others.")
    missing = await subject.asker.get(item_path(shared, "no-such-row-a1b2c3"))
    must(
        missing.status == 404 and missing.media_type == "application/problem+json", f"A row that is not there answers {missing.status} as {missing.media_type}."
    )


async def sortby(subject: Subject, shared: Shared) -> None:
    found = await subject.rows(shared)
    sortable = [field for field in shared.fields.values() if field.type in (*NUMERIC, "datetime", "date")]
    if not sortable:
        raise Skipped("no field is a number or a time")
    for field in sorted(sortable, key=lambda field: field.name != shared.time)[:3]:
        for sign in ("", "-"):
            rows, _ = await subject.walk(shared, {**found.records, "sortby": f"{sign}{field.name}"}, page=max(3, len(found.rows) // 3))
            must({row.id for row in rows} == {row.id for row in found.rows}, f"sortby={sign}{field.name} gives {len(rows)} rows of {len(found.rows)}.")
            values = [field.value(row.values[field.name]) for row in rows]
            known = [value for value in values if value is not None]
            must(known == sorted(known, reverse=sign == "-"), f"sortby={sign}{field.name} does not sort.")
            blanks = [place for place, value in enumerate(values) if value is None]
            together = not blanks or blanks[-1] - blanks[0] + 1 == len(blanks)
            must(together and (not blanks or blanks[0] == 0 or blanks[-1] == len(values) - 1), f"sortby={sign}{field.name} leaves nulls among values.")


async def properties(subject: Subject, shared: Shared) -> None:
    await subject.rows(shared)
    chosen = list(shared.fields)[:2]
    rows, _, _ = await subject.page(shared, {"limit": 5, "properties": ",".join(chosen)})
    must(all(set(row.values) == set(chosen) for row in rows), f"properties={','.join(chosen)} answers with {sorted(rows[0].values) if rows else 'nothing'}.")


_O = "OGC 17-069r4, "
CHECKS = (
    Check(id="records.geojson", clause=f"{_O}7.15–7.16; RFC 7946", title=Text("GeoJSON 行与模式一致", "GeoJSON rows as the schema says"), dataset=geojson),
    Check(id="records.csv", clause="Contract: records; RFC 4180", title=Text("CSV 与 GeoJSON 相同", "CSV holds the same rows"), dataset=as_csv),
    Check(id="records.arrow", clause="Contract: records; Arrow IPC stream", title=Text("Arrow 与 GeoJSON 相同", "Arrow holds the same rows"), dataset=as_arrow),
    Check(id="records.limit", clause=f"{_O}7.15.2", title=Text("每页行数", "Rows of a page"), dataset=limit),
    Check(
        id="records.paging",
        clause=f"{_O}7.15.7; contract: records",
        title=Text("翻页完整、稳定、不重复", "Pages are complete, stable, without repeats"),
        dataset=paging,
    ),
    Check(id="records.item", clause=f"{_O}7.16", title=Text("单行", "A single row"), dataset=item),
    Check(id="records.sortby", clause="OGC API – Records, sortby; contract: records", title=Text("排序", "Order"), dataset=sortby),
    Check(id="records.properties", clause="Contract: records", title=Text("选择字段", "Chosen fields"), dataset=properties),
)
