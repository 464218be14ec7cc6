"""Calls between services against sources that misbehave, on real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared import client as client_module
from shared.breaker import FAILURES, PAUSE_S, PROBE_S, Breaker
from shared.client import AT_ONCE, SourceClient
from shared.ending import end_all
from shared.passage import starting
from shared.source_failures import SourceBusy, SourceDenied, SourceFailure, SourceOverloaded, SourceRefused, SourceSkipped, SourceTimeout

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """A server that does with each connection what the handler says."""

    serving: set[asyncio.Task[None] | None] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handler(reader, writer)
        except asyncio.CancelledError:
            return  # the test is over, and nobody hears of it
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await end_all([task for task in serving if task])


def saying(answer: bytes) -> Handler:
    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return handler


async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _chunk in range(100_000):
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


@pytest.fixture
async def sources() -> AsyncIterator[SourceClient]:
    client = SourceClient()
    yield client
    await client.aclose()


async def ask(sources: SourceClient, url: str, *, seconds: float = 5, name: str = "430300/fire") -> bytes:
    return (await sources.ask(name, url, starting("430300/hub", seconds), token="t", limit_bytes=100_000)).content


async def test_an_answer_comes_with_deadline_via_and_token_told_to_the_source(sources: SourceClient) -> None:
    heard = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n"))
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    assert await ask(sources, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x", seconds=2) == b"{}"
    server.close()
    text = heard.decode().lower()
    assert "authorization: bearer t" in text
    assert "via: 1.1 430300.hub" in text
    assert "accept-encoding: identity" in text
    told = next(int(line.split(": ")[1]) for line in text.split("\r\n") if line.startswith("liandong-deadline-ms"))
    assert 1500 < told <= 2000


async def test_a_silent_source_costs_no_more_than_the_deadline(sources: SourceClient) -> None:
    async with listening(silent) as url:
        started = time.monotonic()
        with pytest.raises(SourceTimeout, match=r"430300/fire did not answer within (2\d\d|300) ms"):
            await ask(sources, url, seconds=0.3)
        assert 0.25 < time.monotonic() - started < 1.0


async def test_an_endless_answer_is_given_up_at_the_bound(sources: SourceClient) -> None:
    async with listening(endless) as url:
        with pytest.raises(SourceFailure, match="more than 100000 bytes"):
            await ask(sources, url)


@pytest.mark.parametrize(
    ("answer", "failure", "detail"),
    [
        (b"", SourceFailure, "broke off"),
        (b"garbage\r\n\r\n", SourceFailure, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort", SourceFailure, "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", SourceFailure, "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", SourceFailure, "compressed"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", SourceFailure, "answered 302"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\n<p>", SourceFailure, "answered 500"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", SourceOverloaded, "answered 503"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", SourceDenied, "answered 401"),
        (b'HTTP/1.1 400 Bad\r\nContent-Length: 24\r\n\r\n{"detail": "no field x"}', SourceRefused, "no field x"),
    ],
)
async def test_each_misbehaviour_is_a_failure_with_a_name(sources: SourceClient, answer: bytes, failure: type[SourceFailure], detail: str) -> None:
    async with listening(saying(answer)) as url:
        with pytest.raises(failure, match=detail):
            await ask(sources, url)


async def test_a_kept_connection_that_the_source_closed_is_tried_anew(sources: SourceClient) -> None:
    served = 0

    async def once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        writer.write(OK)  # keep-alive is announced by HTTP/1.1, and the connection closed all the same
        await writer.drain()

    async with listening(once) as url:
        for _ in range(5):
            assert await ask(sources, url) == b"{}"
            await asyncio.sleep(0.01)
    assert served == 5


async def test_a_source_that_keeps_failing_is_left_alone_and_then_tried_again(sources: SourceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.breaker.PAUSE_S", 0.2)
    async with listening(saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")) as url:
        for _ in range(FAILURES):
            with pytest.raises(SourceFailure, match="answered 500"):
                await ask(sources, url)
        with pytest.raises(SourceSkipped):
            await ask(sources, url)
        assert sources.circuit("430300/fire") == "open"
        async with listening(saying(OK)) as healthy:
            assert await ask(sources, healthy, name="430300/food") == b"{}"
            await asyncio.sleep(0.25)
            assert sources.circuit("430300/fire") == "half-open"
            assert await ask(sources, healthy) == b"{}"
    assert sources.circuit("430300/fire") == "closed"


async def test_who_insists_asks_a_source_that_is_left_alone_and_ends_its_pause(sources: SourceClient) -> None:
    async with listening(saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")) as url, listening(saying(OK)) as healthy:
        for _ in range(FAILURES):
            with pytest.raises(SourceFailure, match="answered 500"):
                await sources.ask("430300/fire", url, starting("430300/hub", 1.0), insist=True)
        with pytest.raises(SourceSkipped):
            await ask(sources, healthy)
        await sources.ask("430300/fire", healthy, starting("430300/hub", 1.0), insist=True)
        assert sources.circuit("430300/fire") == "closed"
        assert await ask(sources, healthy) == b"{}"


async def test_hasty_askers_and_heavy_questions_shut_no_source_for_others(sources: SourceClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FAIR_S", 0.05)
    async with listening(silent) as url, listening(saying(OK)) as healthy:
        for _ in range(2 * FAILURES):
            with pytest.raises(SourceTimeout):
                await ask(sources, url, seconds=0.01)
        assert await ask(sources, healthy) == b"{}"  # it lives, so what follows is the questions' fault
        for _ in range(2 * FAILURES):
            with pytest.raises(SourceTimeout):
                await ask(sources, url, seconds=0.06)
        assert sources.circuit("430300/fire") == "closed"
        monkeypatch.setattr(client_module, "ALIVE_S", 0.0)
        for _ in range(FAILURES):
            with pytest.raises(SourceTimeout):
                await ask(sources, url, seconds=0.06)
        assert sources.circuit("430300/fire") == "open"


async def test_only_so_many_calls_go_to_one_source_at_once(sources: SourceClient) -> None:
    open_now = most = 0

    async def counted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.05)
        open_now -= 1
        writer.write(OK)
        await writer.drain()

    async with listening(counted) as url:
        assert await asyncio.gather(*(ask(sources, url) for _ in range(30))) == [b"{}"] * 30
        assert most == AT_ONCE
    async with listening(silent) as url:
        waiting = [asyncio.create_task(ask(sources, url, seconds=2)) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.1)
        with pytest.raises(SourceBusy):
            await ask(sources, url, seconds=0.1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    async with listening(saying(OK)) as url:
        assert await ask(sources, url) == b"{}"


async def test_light_questions_find_a_place_however_many_heavy_ones_wait(sources: SourceClient) -> None:
    async with listening(silent) as heavy, listening(saying(OK)) as url:
        waiting = [asyncio.create_task(ask(sources, heavy, seconds=60)) for _ in range(3 * AT_ONCE)]
        await asyncio.sleep(0.1)
        started = time.monotonic()
        assert await asyncio.gather(*(ask(sources, url, seconds=2) for _ in range(20))) == [b"{}"] * 20
        assert time.monotonic() - started < 1.5
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_insists_needs_no_place_among_the_others(sources: SourceClient) -> None:
    async with listening(silent) as slow, listening(saying(OK)) as url:
        waiting = [asyncio.create_task(ask(sources, slow, seconds=4)) for _ in range(2 * AT_ONCE)]
        await asyncio.sleep(0.1)
        answer = await sources.ask("430300/fire", url, starting("430300/hub", 1), insist=True)
        assert answer.content == b"{}"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_source_that_is_forgotten_meanwhile_fails_by_name_and_only_once(sources: SourceClient) -> None:
    released = asyncio.Event()

    async def held(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async with listening(held) as url:
        under_way = [asyncio.create_task(ask(sources, url)) for _ in range(AT_ONCE + 2)]  # two of them wait for a place
        await asyncio.sleep(0.1)
        sources.forget("430300/fire")
        found = await asyncio.gather(*under_way, return_exceptions=True)
        assert {type(failure) for failure in found} == {SourceFailure}, found
        assert all(failure.__cause__ for failure in found if isinstance(failure, BaseException)), "or it would look as if the source had said something"
        assert not sources._gates
        released.set()
    async with listening(saying(OK)) as url:  # registered again
        assert await ask(sources, url) == b"{}"


async def test_a_stream_of_a_forgotten_source_breaks_off_by_name(sources: SourceClient) -> None:
    async def begun(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst")
        await writer.drain()
        await asyncio.sleep(60)

    async with listening(begun) as url, sources.stream("430300/fire", url, starting("430300/hub", 5), begins_s=2, idle_s=2) as pieces:
        assert await anext(pieces) == b"first"
        sources.forget("430300/fire")
        with pytest.raises(SourceFailure, match="430300/fire broke off"):
            await anext(pieces)


async def test_sources_that_come_and_go_leave_no_connections(sources: SourceClient) -> None:
    connected: set[asyncio.StreamWriter] = set()

    async def staying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.add(writer)
        writer.write(OK)
        await reader.read()
        connected.discard(writer)

    async with listening(staying) as url:
        for number in range(200):
            await ask(sources, url, name=f"430300/{number}")
        assert len(connected) == 200
        for number in range(200):
            sources.forget(f"430300/{number}")
        async with asyncio.timeout(5):
            while connected or sources._forgotten:
                await asyncio.sleep(0.01)
    assert not sources._gates


async def test_private_addresses_are_asked_only_if_the_settings_allow_it() -> None:
    closed = SourceClient(private_addresses=False)
    async with listening(saying(OK)) as url:
        for address in (url, url.replace("127.0.0.1", "localhost"), "http://169.254.169.254/latest", "http://10.0.0.1/", "http://[::1]/"):
            with pytest.raises(SourceFailure, match="private address"):
                await ask(closed, address)
    await closed.aclose()


def test_a_half_open_circuit_admits_one_trial_at_a_time() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.admits(0.0)
        breaker.failed(0.0)
    assert not breaker.admits(PAUSE_S - 0.1)
    assert breaker.admits(PAUSE_S)
    assert not breaker.admits(PAUSE_S + 1)
    assert breaker.admits(PAUSE_S + PROBE_S)
    breaker.abandoned()
    assert breaker.admits(PAUSE_S + PROBE_S)
    breaker.failed(40.0)
    assert breaker.state(40.0) == "open"
    assert breaker.admits(40.0 + PAUSE_S)
    breaker.succeeded()
    assert breaker.state(50.0) == "closed"
