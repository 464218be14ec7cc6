"""A source that stands before a real one and spoils its answers on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

Spoil = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def answer(content: bytes, *, status: str = "200 OK", kind: str = "application/octet-stream", declared: int | None = None) -> bytes:
    length = len(content) if declared is None else declared
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode() + content


def passed(real: httpx.Response) -> bytes:
    """The real answer as it is, with what it says of its version."""
    kept = {name: value for name, value in real.headers.items() if name.startswith(("content-type", "etag", "liandong-"))}
    length = {} if real.status_code == 304 else {"content-length": str(len(real.content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**kept, **length, "connection": "close"}.items())
    return f"HTTP/1.1 {real.status_code} X\r\n{head}\r\n".encode() + real.content


def altered(change: Callable[[bytes], bytes]) -> Spoil:
    """Send the real answer changed."""

    async def spoil(content: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(change(content)))

    return spoil


def instead(raw: bytes) -> Spoil:
    """Send these bytes instead."""

    async def spoil(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)

    return spoil


async def broken_off(content: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(content[: len(content) // 2], declared=len(content)))


async def silent(_: bytes, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def dripping(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


class Liar:
    """`spoil` may be changed while it listens; without it the real answer passes."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.spoil: Spoil | None = None
        self.url = ""
        self.asked = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.pop("content-length", headers.pop("Content-Length", "0"))))
            self.asked += 1
            async with httpx.AsyncClient(trust_env=False) as client:
                passed_on = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
                real = await client.request(method, self.behind + path, content=body, headers=passed_on)
            if self.spoil is None or path.endswith(("/capabilities", "/schema")) or (path.count("/") < 3 and path != "/versions"):
                writer.write(passed(real))
            else:
                await self.spoil(real.content, writer)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def lying(behind: str) -> AsyncIterator[Liar]:
    liar = Liar(behind)
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(liar.handle(reader, writer))
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, httpx.HTTPError):
            await task
        tasks.discard(task)

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    liar.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield liar
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
