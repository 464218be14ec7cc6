"""Reads a request's body: a bound before and after decompression, known media types, a digest of what was sent."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from shared.errors import BodyTooLarge, InvalidBody, Unavailable, UnsupportedMedia
from shared.middleware import RequestTimeout

MEMBERS = 16
"""Most gzip members of one body; each costs a copy of what follows it."""
SLOTS = 4
"""Bulk loads that a process holds in memory at once; others wait before their bodies are read."""
SLOT_PATIENCE_S = 30.0
BODY_PATIENCE_S = 60.0
"""How long a whole body may take to arrive."""
INLINE = 1 << 20
"""Compressed bodies up to so many bytes are inflated at once, larger ones in a thread."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, decompressed."""

    content: bytes
    media_type: str
    digest: bytes
    """SHA-256 of the body as it was sent."""


async def _slot(request: Request) -> AsyncIterator[None]:
    state = request.app.state
    if not hasattr(state, "load_slots"):
        state.load_slots = asyncio.Semaphore(SLOTS)
    try:
        await asyncio.wait_for(state.load_slots.acquire(), SLOT_PATIENCE_S)
    except TimeoutError as error:
        raise Unavailable(f"{SLOTS} loads are under way and none ended within {SLOT_PATIENCE_S:.0f} s; nothing of this one was read.") from error
    try:
        yield
    finally:
        state.load_slots.release()


LoadSlot = Annotated[None, Depends(_slot, scope="function")]
"""For routes that take bulk loads: bounds how many are in memory at once."""


async def read_body(request: Request, accepts: Collection[str]) -> Body:
    """The body of a bulk load, of at most the setting `load_limit` bytes before and after decompression.

    `accepts` lists the media types, lower case. Raises `UnsupportedMedia`, `BodyTooLarge`, or `InvalidBody` for gzip that is broken or cut short.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in accepts:
        raise UnsupportedMedia(f"Content-Type {media_type[:80] or 'none'!r} is not taken here; send {', '.join(sorted(accepts))}.", pointer="/content-type")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMedia(
            f"Content-Encoding {encoding[:40]!r} is not taken here; send gzip or none.", pointer="/content-encoding", headers={"Accept-Encoding": "gzip"}
        )
    limit = request.app.state.runtime.settings.load_limit
    try:
        async with asyncio.timeout(BODY_PATIENCE_S):
            sent = await _received(request, limit)
    except TimeoutError as error:
        raise RequestTimeout(f"The body did not arrive within {BODY_PATIENCE_S:.0f} s.") from error
    digest = hashlib.sha256(sent).digest()
    if encoding == "identity":
        return Body(sent, media_type, digest)
    content = inflate(sent, limit) if len(sent) <= INLINE else await asyncio.to_thread(inflate, sent, limit)
    return Body(content, media_type, digest)


async def _received(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def inflate(sent: bytes, limit: int) -> bytes:
    """Decompress gzip (RFC 1952) without ever holding more than `limit` bytes of the result.

    Raises `BodyTooLarge` beyond it, `InvalidBody` if the data are not gzip, broken or cut short.
    """
    parts, room, rest = [], limit + 1, sent
    for _ in range(MEMBERS):
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, room)
        except zlib.error as error:
            raise InvalidBody("The body says Content-Encoding: gzip, but its gzip data are broken.", pointer="") from error
        room -= len(part)
        if room <= 0:
            raise _too_large(limit)
        if not member.eof:
            raise InvalidBody("The gzip data end too early; the body was cut short.", pointer="")
        parts.append(part)
        rest = member.unused_data
        if not rest:
            return b"".join(parts)
    raise InvalidBody(f"The gzip data have more than {MEMBERS} members; compress the body in one piece.", pointer="")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit} bytes after decompression; send smaller batches.")
