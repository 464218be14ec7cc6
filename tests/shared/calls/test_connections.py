"""Connections to sources: kept, lost, given up, closed with calls under way."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import httpx
import psutil
import pytest

from shared.client import MIB, SourceClient
from shared.passage import starting
from shared.source_failures import SourceFailure
from shared.source_transport import SourceTransport
from tests.shared.calls.conftest import CALLED, OK, Line, Source, ask, saying, source


async def test_calls_one_after_the_other_go_over_one_connection_and_no_cookie_is_kept(sources: SourceClient) -> None:
    async def with_cookie(line: Line) -> None:
        while True:
            assert "cookie" not in (await line.request()).lower()
            await line.say(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"))

    async with source(with_cookie) as found:
        named = found.url.replace("127.0.0.1", "localhost")  # cookies of mere addresses are kept by nobody
        assert [await ask(sources, named) for _ in range(3)] == [b"{}"] * 3
        assert found.heard() == [3]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_kept_connection_that_ends_with_the_next_question_costs_nothing(sources: SourceClient, method: str) -> None:
    async def once(line: Line) -> None:
        await line.request()
        await line.say(OK)
        if len(found.lines) == 1:
            await line.request()

    async with source(once) as found:
        await ask(sources, found.url)
        assert await ask(sources, found.url, method=method) == b"{}"
        assert found.heard() == [2, 1]


async def test_a_source_that_hangs_up_is_asked_twice_and_no_more(sources: SourceClient) -> None:
    async with source(saying()) as found:
        with pytest.raises(SourceFailure, match="broke off: RemoteProtocolError"):
            await ask(sources, found.url)
        assert found.heard() == [1, 1]


async def test_what_a_source_says_unasked_is_not_taken_for_the_next_answer(sources: SourceClient) -> None:
    async def talkative(line: Line) -> None:
        await line.request()
        await line.say(OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await line.hear_end()

    async with source(talkative) as found:
        for _ in range(3):
            assert await ask(sources, found.url) == b"{}"
            await asyncio.sleep(0.04)
        assert found.heard() == [1, 1, 1]


@pytest.mark.parametrize("said", [OK, b"HTTP/1.1 204 No Content\r\n\r\n"])
async def test_a_source_that_speaks_on_after_its_answer_is_hung_up_on(sources: SourceClient, said: bytes) -> None:
    hung_up = asyncio.Event()

    async def talking(line: Line) -> None:
        await line.request()
        await line.say(OK)
        try:
            while True:
                line.writer.write(said * 1_000)
                await line.writer.drain()
        except ConnectionError:
            hung_up.set()

    async with source(talking) as found:
        assert await ask(sources, found.url) == b"{}"
        await asyncio.wait_for(hung_up.wait(), 5)


async def test_a_source_that_only_ever_says_that_it_will_answer_is_hung_up_on(sources: SourceClient) -> None:
    async def soon(line: Line) -> None:
        await line.request()
        while True:
            line.writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000)
            await line.writer.drain()

    async with source(soon) as found:
        with pytest.raises(SourceFailure, match="broke off: RemoteProtocolError"):
            await ask(sources, found.url)


async def test_a_call_given_up_closes_its_connection_and_the_next_goes_over_another(sources: SourceClient) -> None:
    ended = asyncio.Event()

    async def first_half(line: Line) -> None:
        await line.request()
        if len(found.lines) > 1:
            await line.say(OK)
            return
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await line.hear_end()
        ended.set()

    async with source(first_half) as found:
        call = asyncio.create_task(ask(sources, found.url))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(ended.wait(), 2)
        assert await ask(sources, found.url) == b"{}"
        assert found.heard() == [1, 1]


async def test_a_slow_taker_holds_the_source_back(sources: SourceClient) -> None:
    sent, much = 0, 64 * MIB

    async def pouring(line: Line) -> None:
        nonlocal sent
        await line.request()
        line.writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {much}\r\n\r\n".encode())
        while sent < much:
            line.writer.write(bytes(65_536))
            sent += 65_536
            await line.writer.drain()

    async with source(pouring) as found, sources.stream(CALLED, found.url, starting("430300/hub", 20), begins_s=5, idle_s=5) as pieces:
        taken = len(await anext(pieces))
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.3)
        assert sent - taken < 20 * MIB  # two here, the rest in the buffers of the operating system
        lengths = [len(piece) async for piece in pieces]
        assert taken + sum(lengths) == much


def connected(to: Source) -> int:
    """Connections of this process that a source could still be asked over."""
    port = int(to.url.rpartition(":")[2])
    return sum(1 for one in psutil.Process().net_connections("tcp") if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED)


@pytest.mark.parametrize("closing", ["forget", "aclose"])
async def test_calls_and_answers_under_way_end_at_once_when_a_source_is_forgotten(sources: SourceClient, closing: str) -> None:
    async def untaken(line: Line) -> None:
        head = await line.request()
        if "/half" in head:
            await line.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of what")  # its end is the connection's: cut off, it must not pass for whole
        await asyncio.sleep(60)

    async with source(untaken) as found:
        large = {"method": "POST", "content": bytes(30 * MIB)}  # more than any buffer takes
        paths: list[tuple[str, dict[str, Any]]] = [("/", {}), ("/half", {}), ("/half", {}), ("/large", large)]
        calls = [asyncio.create_task(ask(sources, found.url + path, **more)) for path, more in paths]
        await asyncio.sleep(0.3)
        assert connected(found) == 4
        started = time.monotonic()
        if closing == "forget":
            sources.forget(CALLED)
        else:
            await sources.aclose()
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < 1
        assert {type(failure) for failure in failures} == {SourceFailure}
        causes = [failure.__cause__ for failure in failures if isinstance(failure, BaseException)]
        assert all(causes)
        assert causes[1] and causes[2] and causes[1].__cause__ is not causes[2].__cause__  # what is shared keeps every caller's frames
        await asyncio.gather(*sources._forgotten)
        assert not connected(found)  # though nobody takes what was to be sent


async def silent(line: Line) -> None:
    await line.request()
    await line.hear_end()


async def test_who_waits_for_a_connection_is_told_of_the_end_and_who_is_cancelled_stays_cancelled() -> None:
    transport = SourceTransport(connections=1, keepalive_s=30)
    async with source(silent) as found:
        waiting = [asyncio.create_task(transport.handle_async_request(httpx.Request("GET", found.url))) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert len(found.lines) == 1
        waiting[2].cancel()
        await transport.aclose()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(failure) for failure in ended] == [httpx.CloseError, httpx.CloseError, asyncio.CancelledError]
        assert [waiting[0].cancelling(), waiting[1].cancelling()] == [0, 0]
        with pytest.raises(httpx.CloseError):
            await transport.handle_async_request(httpx.Request("GET", found.url))


async def test_a_kept_connection_that_is_reset_is_left_without_a_word() -> None:
    transport = SourceTransport(connections=1, keepalive_s=30)

    async def once(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"{  }")
        await asyncio.sleep(0.02)
        line.reset()

    async with source(once) as found:
        for _ in range(2):
            response = await transport.handle_async_request(httpx.Request("GET", found.url))
            async with aclosing(response):
                assert await response.aread() == b"{  }"
            await asyncio.sleep(0.1)
        assert found.heard() == [1, 1]
    await transport.aclose()
