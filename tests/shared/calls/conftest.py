"""Sources that break the rules of HTTP, on real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.client import SourceClient
from shared.ending import end_all
from shared.passage import starting

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CALLED = "430300/fire"


@dataclass
class Line:
    """One connection, as the source sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes] = field(default_factory=list)
    """The heads of requests."""

    async def request(self) -> str:
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heard.append(head)
        return head.decode()

    async def say(self, *answers: bytes) -> None:
        for answer in answers:
            self.writer.write(answer)
            await self.writer.drain()
            await asyncio.sleep(0.02)

    async def hear_end(self) -> None:
        """Until the caller has closed the connection."""
        while await self.reader.read(65_536):
            pass

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Source:
    url: str = ""
    lines: list[Line] = field(default_factory=list)

    def heard(self) -> list[int]:
        """How many requests came on each connection."""
        return [len(line.heard) for line in self.lines]


Handler = Callable[[Line], Awaitable[object]]


@asynccontextmanager
async def source(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Source]:
    """A source that does with each connection what the handler says."""
    found, serving = Source(), set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        found.lines.append(line := Line(reader, writer))
        try:
            await handler(line)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return  # the caller has gone, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    found.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        await end_all([task for task in serving if task])


def saying(*answers: bytes) -> Handler:
    """One request, these answers with a pause between them, the end."""

    async def handler(line: Line) -> None:
        await line.request()
        await line.say(*answers)

    return handler


async def polite(line: Line) -> None:
    while True:
        await line.request()
        await line.say(OK)


@pytest.fixture(autouse=True)
async def nothing_left_unheard() -> AsyncIterator[None]:
    """Nothing goes wrong behind the calls: no failure that nobody took, no connection left to the garbage collector."""
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    yield
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert not said


@pytest.fixture
async def sources() -> AsyncIterator[SourceClient]:
    client = SourceClient()
    yield client
    await client.aclose()


async def ask(sources: SourceClient, url: str, *, seconds: float = 5, **more: Any) -> bytes:
    return (await sources.ask(CALLED, url, starting("430300/hub", seconds), **more)).content
