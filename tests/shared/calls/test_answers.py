"""What a source may answer, and what is made of it."""

from __future__ import annotations

import asyncio
import gzip
import time
from contextlib import aclosing

import httpx
import pytest

from shared.client import MIB, SourceClient
from shared.passage import starting
from shared.source_failures import SourceDenied, SourceFailure, SourceTimeout
from shared.source_transport import SourceTransport
from tests.shared.calls.conftest import CALLED, OK, Line, ask, saying, source

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answers",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",),
        (CHUNKED, b"5\r\nhello\r\n"),
        (CHUNKED + b"5\r\nhello\r\n", b"no length\r\nhello\r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nContent-Le",),
        (b"HTTP/1.1 9 What\r\n\r\n{}",),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",),
    ],
)
async def test_an_answer_that_is_not_whole_or_not_http_fails_at_once(sources: SourceClient, answers: tuple[bytes, ...]) -> None:
    async def staying(line: Line) -> None:
        await saying(*answers)(line)
        if b"no length" in answers[-1] or b"-2" in answers[-1]:
            await line.hear_end()  # the rule is broken already: nobody waits for the end

    async with source(staying) as found:
        started = time.monotonic()
        with pytest.raises(SourceFailure, match=r"broke off: (ReadError|RemoteProtocolError)"):
            await ask(sources, found.url)
        assert time.monotonic() - started < 2.5


async def test_an_answer_without_a_length_ends_with_its_connection_unless_that_is_reset(sources: SourceClient) -> None:
    async def reset(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n\r\nhal")
        line.reset()

    async with source(saying(b"HTTP/1.1 200 OK\r\n\r\nwh", b"ole")) as whole, source(reset) as half:
        assert await ask(sources, whole.url) == b"whole"
        with pytest.raises(SourceFailure, match="ReadError"):
            await ask(sources, half.url)


@pytest.mark.parametrize("piece", [b"x" * 1000, b"x: y\r\n", b"x: " + b"y" * 997 + b"\r\n"])
async def test_endless_headers_are_given_up(sources: SourceClient, piece: bytes) -> None:
    said = 0

    async def endless(line: Line) -> None:
        nonlocal said
        await line.request()
        line.writer.write(b"HTTP/1.1 200 OK\r\n")
        while said < 64 * MIB:
            line.writer.write(piece * 100)
            said += len(piece) * 100
            await line.writer.drain()

    async with source(endless) as found:
        with pytest.raises(SourceFailure, match="RemoteProtocolError"):
            await ask(sources, found.url)
    assert said < 64 * MIB


async def test_a_stream_that_always_has_more_ends_with_its_time(sources: SourceClient) -> None:
    async def pouring(line: Line) -> None:
        await line.request()
        line.writer.write(CHUNKED)
        while True:
            line.writer.write(b"80000\r\n" + bytes(0x80000) + b"\r\n")
            await line.writer.drain()

    async def take(url: str) -> None:
        async with sources.stream(CALLED, url, starting("430300/hub", 0.5), begins_s=0.4, idle_s=5) as pieces:
            async for _ in pieces:
                await asyncio.sleep(0.01)  # meanwhile more has come, and nobody waits for it

    async with source(pouring) as found:
        with pytest.raises(SourceTimeout, match="when its time was over"):
            await asyncio.wait_for(take(found.url), 3)


async def test_a_compressed_body_is_not_unpacked_on_the_way() -> None:
    packed, transport = gzip.compress(b"{}"), SourceTransport(connections=1, keepalive_s=30)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with source(saying(head + packed)) as found, aclosing(await transport.handle_async_request(httpx.Request("GET", found.url))) as response:
        assert b"".join([piece async for piece in response.aiter_raw()]) == packed
    await transport.aclose()


async def test_a_long_header_is_read(sources: SourceClient) -> None:
    link = b"<data:application/json," + b"x" * 90_000 + b">"
    async with source(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: " + link + b"\r\n\r\n")) as found:
        answer = await sources.ask(CALLED, found.url, starting("430300/hub", 5))
    assert answer.headers["link"] == link.decode()


async def test_answers_without_a_body_and_those_that_go_before_the_answer(sources: SourceClient) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    answers = [
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
        early + OK,
        early,
        OK,
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    ]

    async def in_turn(line: Line) -> None:
        await line.request()
        for answer in answers:
            await line.say(answer)
            if answer is not early:
                await line.request()

    async with source(in_turn) as found:
        unchanged = await sources.ask(CALLED, found.url, starting("430300/hub", 5))
        assert (unchanged.status, unchanged.content, unchanged.headers["etag"]) == (304, b"", '"a"')
        assert await ask(sources, found.url) == b"{}"
        assert await ask(sources, found.url) == b"{}"
        with pytest.raises(SourceFailure, match="answered 204"):
            await ask(sources, found.url)
        with pytest.raises(SourceDenied, match="answered 401"):
            await ask(sources, found.url)
        assert found.heard() == [5]
