"""Whatever a server does, the run ends in time, within its bounds, with a report that says so."""

from __future__ import annotations

import asyncio
import gzip
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ops.conform.asking import Asker, Limits
from ops.conform.run import Report, conform
from ops.conform.subject import Subject

MIB = 1024 * 1024
LIMITS = Limits(answer_s=0.4, total_s=6, answer_bytes=2 * MIB, total_bytes=40 * MIB, silences=4)
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(head: bytes, body: bytes) -> bytes:
    return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def answering(content: bytes) -> Server:
    """The same bytes to every request, then the connection is cut."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(content)
        await writer.drain()

    return serve


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"[" * 65536 + b"\r\n")
        await writer.drain()


async def endless_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    while True:
        writer.write(b"X-More: " + b"a" * 60000 + b"\r\n")
        await writer.drain()


async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


LIES = b'{"service":"x","city":"430300","contract":"1","version":"1","scopes":["x:read"],"events":{"publishes":["x"],"consumes":[]},"datasets":[{"id":"x.y"}]}'
SERVERS: dict[str, Server] = {
    "silent": silent,
    "dripping": dripping,
    "endless": endless,
    "endless head": endless_head,
    "hanging up": hanging_up,
    "garbage": answering(bytes(range(256)) * 100),
    "redirects": answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n"),
    "gzip bomb": answering(whole(OK + b"Content-Encoding: gzip\r\n", gzip.compress(b"0" * 300 * MIB, 1))),
    "shorter than said": answering(OK + b"Content-Length: 5000\r\n\r\n{}"),
    "deep": answering(whole(OK, b"[" * 500_000)),
    "wide": answering(whole(OK, b"[" + b"{}," * 600_000 + b"{}]")),
    "lying": answering(whole(OK, LIES)),
    "always null": answering(whole(OK, b"null")),
    "half characters": answering(whole(OK, b'{"service":"\xed\xa0\x80","datasets":[\xff]}')),
    "terminal codes": answering(whole(OK, b'{"service":"\\u001b[2J\\u0007","city":"\\u202e","datasets":"[red]"}')),
}


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await server(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the other side has had enough
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


async def run(url: str, limits: Limits = LIMITS) -> Report:
    subject = Subject(Asker(url, "a.b.c", limits), narrow="a.b.c", other="a.b.c")
    try:
        return await conform(subject)
    finally:
        await subject.asker.aclose()


@pytest.mark.parametrize("name", SERVERS)
async def test_a_hostile_server_ends_with_a_report(name: str) -> None:
    began, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(SERVERS[name]) as url:
        report = await run(url)
    assert time.monotonic() - began < LIMITS.total_s + 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300 * 1024, "KiB"
    assert not report.conforms
    assert report.results and all(result.reason.isprintable() and len(result.reason) < 500 for result in report.results)
    assert any(result.outcome == "failed" for result in report.results)


async def test_where_nobody_listens_the_run_gives_up_at_once() -> None:
    report = await run("http://127.0.0.1:1")
    assert report.ended_early is not None and "in a row" in report.ended_early
    assert report.as_dict()["conforms"] is False


async def test_the_token_goes_nowhere_else() -> None:
    """A next page, an API definition or a problem page at another server is a fault, not an invitation."""
    asked: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with listening(elsewhere) as other:
        page = f'{{"links":[{{"rel":"service-desc","href":"{other}/api"}},{{"rel":"data","href":"{other}"}},{{"rel":"conformance","href":"{other}"}}]}}'
        redirect = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}/\r\n".encode()
        for content in (whole(OK, page.encode()), whole(redirect, b"")):
            async with listening(answering(content)) as url:
                await run(url)
    assert asked == []
