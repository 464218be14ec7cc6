"""Clients of a stream that read a little, stop reading, or leave: what they hold is given back in time, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.city import City
from tests.hub.federation.sectors import Federation, calls, federation

IDLE_S = 1.5
PLACES = 4
COPIES = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'copy%' AND state <> 'idle'"


@pytest.fixture(scope="module")
async def made(city: City) -> AsyncIterator[Federation]:
    async with federation(city, {"brigade": calls("a", 60_000)}, stream_idle_s=IDLE_S, streams_at_once=PLACES) as found:
        yield found


class Reader:
    """A client with the smallest buffer that the system gives."""

    def __init__(self, made: Federation, who: str, form: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self._address = (str(made.client.base_url.host), int(made.client.base_url.port or 0))
        token = made.headers(subject=f"client:{who}")["Authorization"]
        self._asked = f"GET /collections/fire.calls/items?stream=true&f={form} HTTP/1.1\r\nHost: hub\r\nAuthorization: {token}\r\n\r\n".encode()

    async def begin(self) -> str:
        """The first line of the answer."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, self._address)
        await loop.sock_sendall(self.socket, self._asked)
        return (await loop.sock_recv(self.socket, 500)).decode(errors="replace").partition("\r\n")[0]

    async def drip(self) -> int:
        """A kilobyte now and then, until the other side ends it."""
        loop, taken = asyncio.get_running_loop(), 0
        with contextlib.suppress(ConnectionError):
            while piece := await loop.sock_recv(self.socket, 1024):
                taken += len(piece)
                await asyncio.sleep(0.05 if taken < 60_000 else 0)
        return taken


async def given_back(made: Federation) -> float:
    """Seconds until no reader holds anything at the hub, the sector or its database."""
    began = time.monotonic()
    bulks = [app.state.runtime.bulk for app in (made.app, *made.apps.values())]
    free = [app.state.runtime.settings.streams_at_once for app in (made.app, *made.apps.values())]
    async with asyncio.timeout(60):
        while [bulk.free for bulk in bulks] != free or made.city.sql(made.settings["brigade"], COPIES)[0]["n"] or made.app.state.runtime.own.crowd.streams:
            await asyncio.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.parametrize("form", ["geojson", "arrow"])
async def test_who_stops_or_leaves_gives_everything_back_and_light_questions_are_answered_meanwhile(made: Federation, form: str) -> None:
    stopped, slow, leaver = (Reader(made, who, form) for who in ("stopped", "slow", "leaver"))
    assert [await reader.begin() for reader in (stopped, slow, leaver)] == ["HTTP/1.1 200 OK"] * 3
    dripping = asyncio.create_task(slow.drip())
    leaver.socket.close()
    assert made.app.state.runtime.own.crowd.streams["client:stopped"] == 1
    answer = await made.aggregate({"dataset": "fire.calls", "measures": {"n": {"fn": "count"}}})
    assert answer.json()["rows"] == [[60_000]]
    await given_back(made)
    stopped.socket.close()
    assert await dripping > 1024
    slow.socket.close()


async def test_one_subject_leaves_places_to_others(made: Federation) -> None:
    readers = [Reader(made, "greedy", "geojson") for _ in range(PLACES - 2)]
    assert {await reader.begin() for reader in readers} == {"HTTP/1.1 200 OK"}
    refused, other = Reader(made, "greedy", "geojson"), Reader(made, "modest", "csv")
    assert await refused.begin() == "HTTP/1.1 429 Too Many Requests"
    assert await other.begin() == "HTTP/1.1 200 OK"
    page: Any = await made.client.get("/collections/fire.calls/items?limit=2", headers=made.headers(subject="client:greedy"))
    assert page.status_code == 200, "pages are no streams"
    for reader in (*readers, refused, other):
        reader.socket.close()
    await given_back(made)
