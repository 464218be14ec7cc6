"""The live stream: everything once, resumed without a gap, within the rights, ended with the token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services.hub.app import service
from services.hub.events import live, stream
from shared.config import Settings
from shared.service import create_app
from shared.testing import serving
from shared.tokens import hash_token_id
from tests.city import City
from tests.hub.events.receiving import append, entry, receiving
from tests.shared.events_under_test import eventually


@pytest.fixture
def settings(city: City) -> Settings:
    return city.settings("hub")


@pytest.fixture
def admin(city: City, settings: Settings) -> Any:
    return city.redis_admin()


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(service, settings)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(app) as made:
        yield made


@pytest.fixture
def everywhere(city: City) -> dict[str, str]:
    return city.headers("hub", scope="hub:events")


async def test_an_event_reaches_everybody_who_listens(client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str]) -> None:
    async with receiving(client, everywhere) as one, receiving(client, everywhere) as other:
        append(admin, entry(7))
        await eventually(lambda: one.numbers == other.numbers == [7])
    assert one.headers["content-type"].startswith("text/event-stream")
    assert (one.events[0]["source"], one.events[0]["data"]["text"]) == ("/430300/food", "线\n两行 \r\n")


async def test_a_new_receiver_begins_now_or_where_it_says(client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str]) -> None:
    append(admin, *(entry(n) for n in range(5)))
    async with receiving(client, everywhere, params={"after": 0}) as first:
        await eventually(lambda: first.numbers == [0, 1, 2, 3, 4])
        async with receiving(client, everywhere) as now:
            append(admin, entry(5))
            await eventually(lambda: now.numbers == [5])
    async with receiving(client, everywhere, resume=first.ids[2], params={"after": 0}) as resumed:
        await eventually(lambda: resumed.numbers == [3, 4, 5])
    refused = await client.get("/events/stream", headers=everywhere, params={"after": first.ids[-1] + 100})
    assert refused.status_code == 400


@pytest.mark.parametrize("kept", [4096, 20])
async def test_receivers_that_come_and_go_under_load_miss_and_repeat_nothing(
    client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(live, "KEPT", kept)
    total = 1000

    async def load() -> None:
        for first in range(0, total, 20):
            append(admin, *(entry(n) for n in range(first, first + 20)))
            await asyncio.sleep(0.005)

    async def come_and_go(pause: float) -> list[int]:
        position = 0
        numbers: list[int] = []
        while len(numbers) < total:
            async with receiving(client, everywhere, resume=position) as receiver:
                before = len(receiver.ids)
                await asyncio.sleep(pause)
                assert before <= len(receiver.ids)
            numbers += receiver.numbers
            position = receiver.ids[-1] if receiver.ids else position
        return numbers

    results = await asyncio.gather(load(), *(come_and_go(pause) for pause in (0.05, 0.11, 0.3)))
    for numbers in results[1:]:
        assert numbers == list(range(total))


async def test_filters_and_rights_hold_live_and_in_what_is_caught_up(client: httpx.AsyncClient, admin: Any, city: City) -> None:
    def burst() -> None:
        append(admin, entry(1, area="430302"), entry(2, area="430104"), entry(3, area=None), entry(4, area="4303021", warninglevel="I"))
        append(admin, entry(5, "fire", area="430302"), service="fire")

    narrow = city.headers("hub", scope="hub:query", areas=["4303"])
    wide = city.headers("hub", scope="hub:query")
    for resume in (None, 0):
        async with (
            receiving(client, narrow, resume=resume) as limited,
            receiving(client, wide, resume=resume) as all_areas,
            receiving(client, narrow, resume=resume, params={"type": "food.*", "area": "430302"}) as food,
            receiving(client, wide, resume=resume, params={"warninglevel": "I,II"}) as warnings,
        ):
            if resume is None:
                burst()
            await eventually(lambda: sorted(all_areas.numbers) == [1, 2, 3, 4, 5])
            await asyncio.sleep(0.1)
            assert sorted(limited.numbers) == [1, 4, 5]
            assert food.numbers == [1, 4]
            assert warnings.numbers == [4]


async def test_the_stream_ends_when_its_token_does(client: httpx.AsyncClient, admin: Any, city: City) -> None:
    headers = city.headers("hub", scope="hub:events", lifetime_s=2)
    async with receiving(client, headers) as receiver:
        append(admin, entry(1))
        await eventually(lambda: receiver.numbers == [1])
        await eventually(lambda: receiver.ended, seconds=5)
    assert receiver.closed == {"reason": "token-expired", "after": receiver.ids[-1]}


async def test_the_stream_ends_when_its_token_is_revoked(app: FastAPI, client: httpx.AsyncClient, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.2)
    headers = city.headers("hub", scope="hub:events", jti="to-be-revoked")
    async with receiving(client, headers) as receiver:
        async with app.state.runtime.sessions() as session, session.begin():
            revoke = "INSERT INTO revoked_tokens (hash, expires_at, revoked_by) VALUES (:hash, now() + interval '1 hour', 'test')"
            await session.execute(text(revoke), {"hash": hash_token_id("to-be-revoked")})
        await app.state.runtime.tokens.refresh()
        await eventually(lambda: receiver.ended, seconds=3)
    assert receiver.closed is not None
    assert receiver.closed["reason"] == "token-revoked"


async def test_nothing_is_delivered_to_a_token_that_ended_before_the_delivery(
    app: FastAPI, client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiving(client, everywhere) as receiver:
        monkeypatch.setattr(app.state.runtime.tokens, "still_valid", lambda _: False)
        append(admin, entry(1))
        await eventually(lambda: receiver.ended)
    assert receiver.numbers == []
    assert receiver.closed is not None


async def test_a_silent_stream_shows_that_it_lives(client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.1)
    async with receiving(client, everywhere, params={"type": "fire.*"}) as receiver:
        for number in range(20):
            append(admin, entry(number))
            await asyncio.sleep(0.02)
        await eventually(lambda: receiver.comments >= 4)
    assert receiver.events == []


async def test_a_receiver_that_is_too_slow_is_told_and_resumes(
    app: FastAPI, client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEPT", 200)
    size, total = 20_000, 1500
    port = client.base_url.port
    assert port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(f"GET /events/stream HTTP/1.1\r\nHost: test\r\nAuthorization: {everywhere['Authorization']}\r\n\r\n".encode())
    begun = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in begun
    await eventually(lambda: app.state.runtime.own.live.streams.total() == 1)
    for first in range(0, total, 50):
        append(admin, *(entry(n, data={"number": n, "text": "x" * size}) for n in range(first, first + 50)))
    await eventually(lambda: app.state.runtime.own.live.head >= total, seconds=30)
    received = bytearray()
    while piece := await asyncio.wait_for(reader.read(1 << 16), 10):
        received += piece
        if received.endswith(b"0\r\n\r\n"):
            break
    writer.close()
    await writer.wait_closed()
    assert b"event: closed" in received
    assert b"too-slow" in received
    ids = [int(line[4:]) for line in received.split(b"\n") if line.startswith(b"id: ")]
    assert ids[-1] == ids[-2], "the last word repeats the last position"
    async with receiving(client, everywhere, resume=ids[-1]) as resumed:
        await eventually(lambda: len(ids) - 1 + len(resumed.ids) == total, seconds=20)
    assert resumed.ids[0] == ids[-1] + 1


async def test_a_receiver_that_takes_nothing_is_cut(
    app: FastAPI, client: httpx.AsyncClient, admin: Any, everywhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SEND_PATIENCE_S", 0.3)
    port = client.base_url.port
    assert port is not None
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(f"GET /events/stream HTTP/1.1\r\nHost: test\r\nAuthorization: {everywhere['Authorization']}\r\n\r\n".encode())
    streams = app.state.runtime.own.live.streams
    await eventually(lambda: streams.total() == 1)
    for first in range(0, 1500, 50):
        append(admin, *(entry(n, data={"number": n, "text": "x" * 20_000}) for n in range(first, first + 50)))
    await eventually(lambda: streams.total() == 0, seconds=20)
    writer.transport.abort()


async def test_streams_are_bounded_per_subject(client: httpx.AsyncClient, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_PER_SUBJECT", 1)
    greedy, other = (city.headers("hub", scope="hub:events", subject=f"client:{name}") for name in ("greedy", "other"))
    async with receiving(client, greedy):
        refused = await client.get("/events/stream", headers=greedy)
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too-many-requests")
        async with receiving(client, other):
            pass
    async with receiving(client, greedy):
        pass


async def test_a_second_hub_process_shows_what_the_first_wrote(settings: Settings, admin: Any, everywhere: dict[str, str]) -> None:
    async with serving(create_app(service, settings)) as first, serving(create_app(service, settings)) as second:
        async with receiving(first, everywhere) as one, receiving(second, everywhere) as other:
            for number in range(30):
                append(admin, entry(number))
                await asyncio.sleep(0.02)
            await eventually(lambda: one.numbers == other.numbers == list(range(30)), seconds=5)
        assert one.ids == other.ids


async def test_the_second_hub_process_takes_over_the_log_without_gap_or_repeat(city: City, settings: Settings, admin: Any, everywhere: dict[str, str]) -> None:
    end_consumer = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '430300/hub consumer' AND state = 'idle' LIMIT 1"
    async with serving(create_app(service, settings)) as first, serving(create_app(service, settings)) as second:
        async with receiving(first, everywhere) as one, receiving(second, everywhere) as other:
            started = time.monotonic()
            for number in range(200):
                append(admin, entry(number))
                await asyncio.sleep(0.01)
                if number % 50 == 25:
                    city.sql(settings, end_consumer, role="app")
            await eventually(lambda: len(one.numbers) == len(other.numbers) == 200, seconds=10)
        assert one.numbers == other.numbers == list(range(200))
        assert one.ids == other.ids
        assert time.monotonic() - started < 15
