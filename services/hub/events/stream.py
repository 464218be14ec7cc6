"""The city's events as they happen: server-sent events that resume without gap or repeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from prometheus_client import Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message, Send

from services.hub.events.domain import Logged, Wanted
from services.hub.events.live import Live
from services.hub.events.log import CHUNK, Page, head, read_page
from services.hub.events.schemas import MOST_POSITION, StreamQuery
from shared.auth import may
from shared.caller import Caller
from shared.errors import InvalidRequest, TooMany, Unavailable
from shared.service import Runtime

HEARTBEAT_S = 10.0
"""How often a silent stream shows that it lives; also how late a revocation that this service knows of ends it."""
SEND_PATIENCE_S = 30.0
"""How long a receiver may leave the connection full before it is cut."""
BEGIN_PATIENCE_S = 2.0
RETRY_MS = 2000
FRAME_BYTES = 128 * 1024
"""Size beyond which no event is added to a delivery; rights are checked before each delivery."""
MOST_STREAMS = 1000
MOST_PER_SUBJECT = 50
STREAMS = Gauge("liandong_event_streams", "Open event streams")
ENDED = Counter("liandong_event_streams_ended_total", "Event streams ended by the hub, by reason", ["reason"])

router = APIRouter(tags=["events"])


class LiveResponse(StreamingResponse):
    """A stream that is cut when its receiver takes nothing for `SEND_PATIENCE_S`.

    Not `fastapi.sse.EventSourceResponse`: that puts a queue and a task of its own between the log and the socket.
    """

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(SEND_PATIENCE_S):
                await send(message)

        try:
            await super().stream_response(patient)
        except TimeoutError:
            ENDED.labels("stalled").inc()


@router.get("/events/stream", response_class=LiveResponse, summary="The city's events as they happen (SSE)")
async def stream_events(
    request: Request,
    query: Annotated[StreamQuery, Query()],
    caller: Annotated[Caller, may("hub:events", "hub:query")],
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> LiveResponse:
    """Each `data` is a CloudEvent, its `id` the position in the log; `Last-Event-ID` resumes after it.

    The stream ends with `event: closed` and a reason when the token ends or is revoked, or when the receiver is too slow: connect again.
    """
    runtime: Runtime = request.app.state.runtime
    live: Live = runtime.own.live
    if live.streams.total() >= MOST_STREAMS or live.streams[caller.subject] >= MOST_PER_SUBJECT:
        raise TooMany(f"{live.streams[caller.subject]} streams of {caller.subject} are open; close some.", headers={"Retry-After": "10"})
    after = await _beginning(runtime, live, last_event_id, query.after)
    frames = Frames(runtime, caller, query.wanted(), after)
    return LiveResponse(frames.all(), headers={"X-Accel-Buffering": "no"})


async def _beginning(runtime: Runtime, live: Live, last_event_id: str | None, after: int | None) -> int:
    """The position after which to send: what the receiver has, or now."""
    try:
        async with asyncio.timeout(BEGIN_PATIENCE_S):
            await live.begun.wait()
    except TimeoutError as error:
        raise Unavailable("The log cannot be read yet.") from error
    if last_event_id:
        if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id) > MOST_POSITION:
            raise InvalidRequest("Last-Event-ID is a position in the log: the id of an event of this stream.", pointer="/Last-Event-ID")
        after = int(last_event_id)
    if after is None:
        return live.head
    if after > live.head:
        async with runtime.sessions() as session:
            if after > (end := await head(session)):
                raise InvalidRequest(f"The log ends at {end}; position {after} does not exist.", pointer="/after")
    return after


class Frames:
    """One stream: it holds the receiver's position and nothing else."""

    def __init__(self, runtime: Runtime, caller: Caller, wanted: Wanted, after: int) -> None:
        self._runtime, self._caller, self._wanted, self._after = runtime, caller, wanted, after
        self._live: Live = runtime.own.live
        self._silent_since = time.monotonic()

    async def all(self) -> AsyncIterator[bytes]:
        """Everything that is sent, until the stream ends."""
        self._live.streams[self._caller.subject] += 1
        STREAMS.inc()
        try:
            yield format_sse_event(comment="the city's events", retry=RETRY_MS)
            async for frame in self._events():
                yield frame
        finally:
            self._live.streams -= {self._caller.subject: 1}
            STREAMS.dec()

    async def _events(self) -> AsyncIterator[bytes]:
        caught_up = False
        while (reason := self._ended()) is None:
            entries = self._live.after(self._after, CHUNK)
            upto = self._after
            if entries is not None:
                caught_up = True
            elif caught_up:
                reason = "too-slow"
                break
            elif (page := await self._page()) is not None:
                entries, upto = page.entries, page.after
            else:
                reason = "unavailable"
                break
            if frame := self._frame(entries, upto):
                yield frame
            elif not entries:
                await self._live.wait(self._after, self._patience())
        ENDED.labels(reason).inc()
        yield format_sse_event(event="closed", id=str(self._after), data_str=orjson.dumps({"reason": reason, "after": self._after}).decode())

    def _ended(self) -> str | None:
        """Why the stream must end now: rights are checked before every delivery."""
        if self._runtime.tokens.still_valid(self._caller):
            return None
        return "token-expired" if time.time() > self._caller.expires else "token-revoked"

    def _patience(self) -> float:
        """Seconds until the next heartbeat or the token's end, whichever comes first."""
        heartbeat = self._silent_since + HEARTBEAT_S - time.monotonic()
        return max(0.01, min(heartbeat, self._caller.expires + 0.1 - time.time()))

    async def _page(self) -> Page | None:
        """What follows in the database; None if it does not answer."""
        try:
            async with self._live.reading, self._runtime.sessions() as session:
                return await read_page(session, self._wanted, self._caller, self._after, CHUNK)
        except (SQLAlchemyError, OSError, TimeoutError):
            return None

    def _frame(self, entries: Sequence[Logged], upto: int) -> bytes:
        """Those of the entries that are wanted and may be seen, ready to send; a heartbeat when it is time for one; or nothing.

        Afterwards the receiver has everything up to the last entry that fitted, or up to `upto` if all did and it is further.
        """
        frame = bytearray()
        for logged in entries:
            if len(frame) > FRAME_BYTES:
                break
            if self._wanted.matches(logged) and self._caller.sees_area(logged.area):
                frame += b"id: %d\ndata: %b\n\n" % (logged.position, logged.envelope.encode())
            self._after = logged.position
        else:
            self._after = max(self._after, upto)
        now = time.monotonic()
        if not frame and now - self._silent_since >= HEARTBEAT_S:
            frame += format_sse_event(comment="alive")
        if frame:
            self._silent_since = now
        return bytes(frame)
