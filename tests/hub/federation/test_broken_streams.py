"""A stream whose database fails after its status has left: whoever reads it notices, at a sector, through a hub and in SQL."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pyarrow as pa
import pytest

from services.hub.sql import feeding
from shared.config import Settings
from shared.datasets import bulk_blocks
from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation, sector
from tests.hub.federation.test_streams import opened

ITEMS = "/collections/fire.calls/items?stream=true"
ROWS = 400_000
MANY = f"""
    INSERT INTO calls (id, area, received_at, kind, response_s, units, recorded_by)
    SELECT 'p-' || n, '430304', '2026-11-01Z', repeat('rescue ', 10), n, 1, 'test' FROM generate_series(1, {ROWS}) n
"""
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '% streams' AND datname = current_database()"


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[tuple[Federation, str, Settings]]:
    async with AsyncExitStack() as stack:
        _, url, settings = await stack.enter_async_context(sector(city, "harbour", []))
        city.sql(settings, MANY, role="app")
        yield await stack.enter_async_context(federation(city, {"brigade": calls("f", 30)}, {"430300/harbour": url})), url, settings


@pytest.fixture(params=["blocks", "row by row"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which rows leave a database."""
    monkeypatch.setattr(bulk_blocks, "LEAST_BYTES", 0 if request.param == "blocks" else 2**40)
    monkeypatch.setattr(bulk_blocks, "BLOCK_PAGES", 32)
    return str(request.param)


async def killed(city: City, settings: Settings) -> None:
    """End the database's side of all streams; there must be some."""
    assert await asyncio.to_thread(city.sql, settings, KILL, role="reader"), "no stream was under way"


async def interrupted(answer: httpx.Response, city: City, settings: Settings) -> bytes:
    """What a reader gets of a stream whose database goes after the first piece."""
    pieces = answer.aiter_raw()
    found = bytearray(await anext(pieces))
    await killed(city, settings)
    async for piece in pieces:
        found += piece
    return bytes(found)


@pytest.mark.parametrize("form", ["arrow", "csv", "geojson"])
async def test_a_sectors_stream_breaks_off(made: tuple[Federation, str, Settings], way: str, form: str) -> None:
    federated, url, settings = made
    headers = federated.city.headers("harbour", scope="fire:read", clearance={"grade": "important", "personal": "none"})
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client, client.stream("GET", f"{url}{ITEMS}&f={form}", headers=headers) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await interrupted(answer, federated.city, settings)


async def test_through_the_hub_the_source_is_named_with_the_rows_that_came(made: tuple[Federation, str, Settings], way: str) -> None:
    federated, _, settings = made
    async with federated.client.stream("GET", f"{ITEMS}&f=arrow&deadline_ms=20000", headers=federated.headers()) as answer:
        table, end = opened(await interrupted(answer, federated.city, settings))
    found = {entry["source"]: entry for entry in end["coverage"]["sources"]}
    assert end["coverage"]["complete"] is False
    assert (found["430300/harbour"]["status"], found["430300/brigade"]["status"]) == ("error", "ok")
    assert found["430300/harbour"]["rows"] == sum(name.startswith("p") for name in table["id"].to_pylist()) < ROWS


async def test_a_strict_stream_breaks_off(made: tuple[Federation, str, Settings], way: str) -> None:
    federated, _, settings = made
    async with federated.client.stream("GET", f"{ITEMS}&f=arrow&strict=true&deadline_ms=20000", headers=federated.headers()) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            await interrupted(answer, federated.city, settings)


@pytest.mark.parametrize("strict", [False, True])
async def test_sql_names_the_source_or_is_refused(made: tuple[Federation, str, Settings], monkeypatch: pytest.MonkeyPatch, way: str, strict: bool) -> None:
    """The database goes once first rows are in the process that computes, and before the last have left it: buffers on the way do not hold them all."""
    federated, _, settings = made
    begun, gone, send = asyncio.Event(), asyncio.Event(), feeding._send

    async def held(way: socket.socket, part: pa.Schema | pa.RecordBatch) -> None:
        await send(way, part)
        if isinstance(part, pa.RecordBatch) and part.num_rows > 30:
            begun.set()
            await gone.wait()

    monkeypatch.setattr(feeding, "_send", held)
    sql = "SELECT count(*), max(length(kind)) FROM (SELECT DISTINCT id, kind FROM fire.calls)"
    question: dict[str, Any] = {"sql": sql, "strict": strict, "deadline_ms": 20_000}
    asking = asyncio.create_task(federated.client.post("/sql", json=question, headers=federated.headers(), timeout=30))
    await begun.wait()
    await killed(federated.city, settings)
    gone.set()
    answer = await asking
    if strict:
        assert (answer.status_code, answer.json()["type"]) == (502, "/problems/incomplete-answer")
        return
    found = {entry["source"]: entry for entry in answer.json()["coverage"]["sources"]}
    assert (answer.status_code, found["430300/harbour"]["status"], found["430300/brigade"]["status"]) == (200, "error", "ok")
    assert 30 < answer.json()["rows"][0][0] == 30 + found["430300/harbour"]["rows"] < 30 + ROWS
