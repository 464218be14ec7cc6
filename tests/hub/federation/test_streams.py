"""Every row of all sources in one answer: the rows of the pages, in their order, with the coverage at the end."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from services.hub.federation.scans import scan
from shared.caller import Caller, Clearance
from shared.errors import NotFound
from shared.passage import starting
from shared.vocabulary import DataGrade, Personal
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation
from tests.hub.federation.test_records import all_pages
from tests.hub.federation.test_stream_size import ROWS

ITEMS = "/collections/fire.calls/items"
BRIGADE, HARBOUR = calls("f", 130), calls("p", 90)
ALL = BRIGADE + HARBOUR


def opened(content: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """Rows of an Arrow stream, and what it says at its end."""
    with pa.ipc.open_stream(content) as reader:
        found = list(reader.iter_batches_with_custom_metadata())
    last = found[-1].custom_metadata
    assert last is not None
    return pa.Table.from_batches([part.batch for part in found], reader.schema.remove_metadata()), json.loads(last[b"liandong"])


@pytest.fixture(scope="module")
async def two(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": BRIGADE, "harbour": HARBOUR}) as made:
        yield made


async def get(made: Federation, query: str, **claims: Any) -> httpx.Response:
    return await made.client.get(f"{ITEMS}?stream=true{query}", headers=made.headers(**claims))


async def test_all_rows_come_with_a_coverage_at_the_end(two: Federation) -> None:
    table, end = opened((await get(two, "&f=arrow")).content)
    assert sorted(table["id"].to_pylist()) == sorted(row["id"] for row in ALL)
    assert (end["numberReturned"], end["coverage"]["complete"]) == (len(ALL), True)
    assert {entry["source"]: (entry["status"], entry["rows"]) for entry in end["coverage"]["sources"]} == {
        "430300/brigade": ("ok", len(BRIGADE)),
        "430300/harbour": ("ok", len(HARBOUR)),
    }


@pytest.mark.parametrize("sort", ["units", "-response_s", "response_s", "kind,-received_at"])
async def test_a_sorted_stream_has_the_order_of_the_pages(two: Federation, sort: str) -> None:
    pages = await all_pages(two, f"{ITEMS}?limit=1000&sortby={sort}")
    whole = (await get(two, f"&sortby={sort}")).json()
    assert whole["features"] == pages
    assert (whole["numberReturned"], whole["coverage"]["complete"]) == (len(ALL), True)
    narrow, _ = opened((await get(two, f"&sortby={sort}&f=arrow&properties=area")).content)
    assert narrow.schema.names == ["id", "area", "lon", "lat"]
    assert narrow["id"].to_pylist() == [feature["id"] for feature in pages]


async def test_csv_and_arrow_have_the_columns_and_types_of_the_pages(two: Federation) -> None:
    page = await two.client.get(f"{ITEMS}?limit=1000&sortby=received_at&f=arrow", headers=two.headers())
    table, _ = opened((await get(two, "&sortby=received_at&f=arrow")).content)
    assert table == pa.ipc.open_stream(page.content).read_all().replace_schema_metadata(None)
    answer = await get(two, "&sortby=received_at&f=csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(answer.text))] == table["id"].to_pylist()
    assert 'rel="coverage"' in answer.headers["link"]


async def test_conditions_moments_and_bounds_are_pushed_down(two: Federation) -> None:
    wanted = {row["id"] for row in ALL if row["kind"] == "rescue" and row["units"] > 4 and row["lon"] <= 112.95}
    table, _ = opened((await get(two, "&f=arrow&filter=kind='rescue' AND units>4&bbox=112.9,27.8,112.95,27.9")).content)
    assert set(table["id"].to_pylist()) == wanted
    few, end = opened((await get(two, "&f=arrow&sortby=-units&limit=7")).content)
    assert few["units"].to_pylist() == sorted((row["units"] for row in ALL), reverse=True)[:7]
    assert sum(entry["rows"] for entry in end["coverage"]["sources"]) == 7
    assert opened((await get(two, "&f=arrow&limit=7")).content)[0].num_rows == 7
    assert opened((await get(two, "&f=arrow&known_at=2026-01-01T00:00:00Z")).content)[0].num_rows == 0


async def test_rights_hold_in_rows_fields_filters_and_order(two: Federation) -> None:
    table, end = opened((await get(two, "&f=arrow", areas=["430302"])).content)
    assert set(table["id"].to_pylist()) == {row["id"] for row in ALL if row["area"] == "430302"}
    assert "phone" not in table.schema.names and end["coverage"]["limited"] is True
    for wrong in ("&filter=phone='1'", "&sortby=phone", "&properties=phone", "&phone=1"):
        assert (await get(two, wrong)).status_code == 400, wrong
    cleared, _ = opened((await get(two, "&f=arrow&properties=phone", clearance={"grade": "important", "personal": "personal"})).content)
    assert set(cleared["phone"].to_pylist()) == {row["phone"] for row in ALL}
    assert (await get(two, "", scope="hub:events")).status_code == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("&token=x", 400),
        ("&resultType=hits", 400),
        ("&limit=0", 400),
        ("&sortby=none", 400),
        ("&f=parquet", 406),
        ("&filter=(((", 400),
        ("&deadline_ms=0", 400),
    ],
)
async def test_what_is_wrong_is_said_before_the_first_row(two: Federation, query: str, status: int) -> None:
    assert (await get(two, query)).status_code == status


async def test_the_hubs_own_rows_stream_too(two: Federation) -> None:
    answer = await two.client.get("/collections/hub.areas/items?stream=true&f=arrow", headers=two.headers())
    table, end = opened(answer.content)
    assert (table.num_rows, [entry["source"] for entry in end["coverage"]["sources"]]) == (0, ["430300/hub"])


CALLER = Caller(
    subject="user:analyst", audience="430300/hub", scopes=frozenset({"hub:query"}), areas=("*",), clearance=Clearance(DataGrade.IMPORTANT, Personal.NONE)
)


@pytest.mark.parametrize(
    "columns",
    [None, [], ["units", "kind"], ["kind", "_source"], ["_source"], ["id", "lon"], ["lat", "units", "id"]],
)
async def test_a_scan_gives_the_columns_that_were_asked_for(two: Federation, columns: list[str] | None) -> None:
    box = {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [112.9, 27.8, 112.95, 27.9]}]}
    condition = {"op": "and", "args": [{"op": ">", "args": [{"property": "units"}, 4]}, box]}
    wanted = [row for row in ALL if row["units"] > 4 and row["lon"] <= 112.95]
    runtime = two.app.state.runtime
    async with scan(runtime, CALLER, "fire.calls", columns=columns, filter=condition, limit=None, passage=starting("430300/hub", 10)) as found:
        batches = [batch async for batch in found.batches]
    table = pa.Table.from_batches(batches, found.schema)
    assert table.schema.names == (["id", *two_fields(), "lon", "lat"] if columns is None else columns or ["id"])
    for name in set(table.schema.names) - {"_source"}:
        assert sorted(map(str, table[name].to_pylist())) == sorted(str(row[name]) for row in wanted), name
    if "_source" in table.schema.names:
        assert table["_source"].to_pylist().count("430300/harbour") == sum(row["id"][0] == "p" for row in wanted)
    assert [(answer.source, answer.status) for answer in found.answers] == [("430300/brigade", "ok"), ("430300/harbour", "ok")]


def two_fields() -> list[str]:
    return ["area", "received_at", "kind", "response_s", "units"]


async def test_a_scan_may_be_left_early_and_refuses_what_does_not_exist(two: Federation) -> None:
    runtime, passage = two.app.state.runtime, starting("430300/hub", 10)
    async with scan(runtime, CALLER, "fire.calls", columns=["units"], filter=None, limit=5, passage=passage) as found:
        assert sum([batch.num_rows async for batch in found.batches]) == 5
    async with scan(runtime, CALLER, "fire.calls", columns=["units"], filter=None, limit=None, passage=passage) as found:
        await anext(found.batches)
    with pytest.raises(NotFound):
        async with scan(runtime, CALLER, "fire.nothing", columns=None, filter=None, limit=None, passage=passage):
            pass


async def test_rows_wait_at_their_sources_while_the_client_does_not_read(two: Federation) -> None:
    """The last in this module, for it adds rows. A sample of what bounds the memory: hub and sectors, here in one process, hold a few batches."""
    for name, settings in two.settings.items():
        two.city.sql(settings, ROWS, name, 25_000, 1000, role="app")
    held, sectors = pa.total_allocated_bytes(), [app.state.runtime.bulk for app in two.apps.values()]
    address = f"{ITEMS}?stream=true&filter=kind LIKE 'kind %'&sortby=-units,received_at"
    async with two.client.stream("GET", address, headers=two.headers()) as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await asyncio.sleep(0.3)
        assert pa.total_allocated_bytes() - held < 32 * 1024 * 1024
        assert all(sector.free < two.settings["brigade"].streams_at_once for sector in sectors), "everything was fetched although nobody reads"
        tail = b""
        async for piece in pieces:
            tail = (tail + piece)[-8192:]
    assert b'"numberReturned":50000,' in tail and b'"complete":true' in tail
