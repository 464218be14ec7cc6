"""A stream beside a source that fails, lies, drips or never ends: the others' rows come, it is named, and nothing is taken for whole that is not."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.city import City
from tests.hub.federation.liar import Liar, Spoil, altered, answer, broken_off, dripping, endless, instead, lying, silent
from tests.hub.federation.sectors import Federation, calls, federation, sector
from tests.hub.federation.test_streams import opened

ITEMS = "/collections/fire.calls/items?stream=true"
BRIGADE, HARBOUR = calls("f", 30), calls("p", 3000)


@pytest.fixture(scope="module")
async def beside_a_liar(city: City) -> AsyncIterator[tuple[Federation, Liar]]:
    async with AsyncExitStack() as stack:
        app, url, _ = await stack.enter_async_context(sector(city, "harbour", HARBOUR))
        liar = await stack.enter_async_context(lying(url))
        made = await stack.enter_async_context(federation(city, {"brigade": BRIGADE}, {"430300/harbour": liar.url}, stream_idle_s=0.7, streams_at_once=3))
        made.apps["harbour"] = app
        yield made, liar


async def get(made: Federation, query: str) -> httpx.Response:
    made.app.state.runtime.own.client.forget("430300/harbour")  # no breaker between the cases
    return await made.client.get(ITEMS + query + ("" if "deadline_ms" in query else "&deadline_ms=3000"), headers=made.headers())


def rewritten(change: Any) -> Spoil:
    """The real rows in another table, as a stream that is well-formed in itself."""

    def spoil(content: bytes) -> bytes:
        with pa.ipc.open_stream(content) as reader:
            found = list(reader.iter_batches_with_custom_metadata())
        table = change(pa.Table.from_batches([part.batch for part in found]))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
            writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema), custom_metadata=found[-1].custom_metadata)
        return bytes(sink.getvalue())

    return altered(spoil)


async def half_then_silent(content: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(content, declared=len(content))[: len(content) // 2])
    await writer.drain()
    await asyncio.sleep(60)


def set_units(table: pa.Table) -> pa.Table:
    return table.set_column(table.schema.names.index("units"), "units", table["units"].cast(pa.float64()))


LIES: dict[str, Spoil] = {
    "half of it": altered(lambda content: content[: len(content) // 2]),
    "without its end": altered(lambda content: content[:-8]),
    "broken off": broken_off,
    "half, then silent": half_then_silent,
    "no Arrow": instead(answer(b"<html>")),
    "nothing": instead(answer(b"")),
    "500": instead(answer(b"", status="500 Oops")),
    "busy": instead(answer(b"{}", status="429 Busy")),
    "rows missing": rewritten(lambda table: table.slice(1)),
    "rows twice": rewritten(lambda table: pa.concat_tables([table, table])),
    "another type": rewritten(set_units),
    "out of order": rewritten(lambda table: table.take(pa.array(range(table.num_rows - 1, -1, -1)))),
    "silent": silent,
    "dripping": dripping,
    "endless nonsense": endless,
}


@pytest.mark.parametrize("lie", LIES)
async def test_whatever_a_source_sends_it_is_named_and_the_others_rows_are_whole(beside_a_liar: tuple[Federation, Liar], lie: str) -> None:
    made, liar = beside_a_liar
    liar.spoil = LIES[lie]
    started = time.monotonic()
    answered = await get(made, "&f=arrow&sortby=-units")
    assert time.monotonic() - started < 5, "beyond its deadline"
    table, end = opened(answered.content)
    rows = table["id"].to_pylist()
    assert {row["id"] for row in BRIGADE} <= set(rows)
    found = {entry["source"]: entry for entry in end["coverage"]["sources"]}
    assert (end["coverage"]["complete"], found["430300/brigade"]["status"]) == (False, "ok")
    assert found["430300/harbour"]["status"] in ("error", "timeout")
    assert found["430300/harbour"].get("rows", 0) == sum(name[0] == "p" for name in rows)
    assert table["units"].to_pylist() == sorted(table["units"].to_pylist(), reverse=True)


@pytest.mark.parametrize(("query", "lie"), [("&f=csv", "half of it"), ("&f=geojson&strict=true", "without its end"), ("&f=arrow&strict=true", "rows missing")])
async def test_csv_and_strict_streams_break_off_with_a_source(beside_a_liar: tuple[Federation, Liar], query: str, lie: str) -> None:
    made, liar = beside_a_liar
    liar.spoil = LIES[lie]
    with pytest.raises(httpx.RemoteProtocolError):
        await get(made, query)


async def test_strict_refuses_before_it_begins_and_csv_names_who_never_began(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = LIES["500"]
    refused = await get(made, "&f=arrow&strict=true")
    assert (refused.status_code, refused.json()["type"]) == (502, "/problems/incomplete-answer")
    flat = await get(made, "&f=csv")
    assert flat.text.count("\n") == len(BRIGADE) + 1
    assert "source-error" in flat.headers["link"]


async def endless_rows(content: bytes, writer: asyncio.StreamWriter) -> None:
    with pa.ipc.open_stream(content) as reader:
        schema, rows = reader.schema, reader.read_next_batch()
    head = schema.serialize().to_pybytes()
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in itertools.chain([head], itertools.repeat(rows.serialize().to_pybytes())):
        writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        await writer.drain()


async def test_a_source_without_end_ends_with_the_time_of_the_stream(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = endless_rows
    started = time.monotonic()
    table, end = opened((await get(made, "&f=arrow&deadline_ms=1500")).content)
    assert time.monotonic() - started < 4
    found = {entry["source"]: entry for entry in end["coverage"]["sources"]}
    assert (found["430300/harbour"]["status"], found["430300/brigade"]["status"]) == ("timeout", "ok")
    assert found["430300/harbour"]["rows"] + found["430300/brigade"]["rows"] == table.num_rows
    few, end = opened((await get(made, "&f=arrow&deadline_ms=2000&limit=40")).content)
    assert (few.num_rows, end["coverage"]["complete"]) == (40, True)


async def test_geojson_ends_as_one_document_that_names_the_source(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = LIES["half of it"]
    found = json.loads((await get(made, "")).content)
    assert found["coverage"]["complete"] is False
    assert found["numberReturned"] == len(found["features"]) >= len(BRIGADE)


async def test_a_client_that_leaves_frees_the_hub_and_the_sources(beside_a_liar: tuple[Federation, Liar]) -> None:
    made, liar = beside_a_liar
    liar.spoil = half_then_silent
    hub, sources = made.app.state.runtime, made.app.state.runtime.own.client
    async with made.client.stream("GET", ITEMS + "&f=geojson", headers=made.headers()) as answered:
        await anext(answered.aiter_raw())
        assert hub.bulk.free == 2
        async with hub.bulk.admitted(), hub.bulk.admitted():
            refused = await made.client.get(ITEMS + "&f=arrow", headers=made.headers())  # not `get`: forgetting the source would end the stream
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    for _ in range(100):
        if (hub.bulk.free, made.apps["brigade"].state.runtime.bulk.free, sources.streams("430300/harbour")) == (3, 6, 0):
            return
        await asyncio.sleep(0.05)
    pytest.fail("something is still held")
