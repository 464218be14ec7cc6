"""Messages for the mobile terminal of a unit as they are written: server-sent events that resume without gap or repeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from sqlalchemy import any_, func, literal, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import Message, Send

from services.fire.crews.reading import check_unit, messages_for, shown_message
from services.fire.models import crew_messages, unit_status
from shared.auth import Caller, may
from shared.errors import InvalidRequest, TooMany
from shared.row_models import Reference
from shared.runtime import Runtime

HEARTBEAT_S = 10.0
"""How often a silent stream shows that it lives; also how late a revocation that this service knows of ends it."""
SEND_PATIENCE_S = 30.0
RETRY_MS = 1000
PAGE = 20
MOST_STREAMS, MOST_PER_SUBJECT = 2000, 500
MOST_POSITION = 2**62
router = APIRouter(tags=["crews"])


class TerminalResponse(StreamingResponse):
    """A stream that is cut when its receiver takes nothing for `SEND_PATIENCE_S`."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(SEND_PATIENCE_S):
                await send(message)

        with suppress(TimeoutError):
            await super().stream_response(patient)


@router.get("/crews/stream", response_class=TerminalResponse, summary="A unit's messages as they are written (SSE)")
async def stream_messages(
    request: Request,
    caller: Annotated[Caller, may("fire:read", "hub:query")],
    unit: Annotated[Reference, Query(description="Whose messages")],
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> TerminalResponse:
    """Each `data` is a revision of a message, its `id` the position by which `Last-Event-ID` resumes.

    Without it the stream begins with the newest message of the incident that the unit is assigned to. The terminal gets what its token may see.
    """
    runtime: Runtime = request.app.state.runtime
    streams = runtime.own.terminals.streams
    if streams.total() >= MOST_STREAMS or streams[caller.subject] >= MOST_PER_SUBJECT:
        raise TooMany(f"{streams[caller.subject]} streams of {caller.subject} are open; close some.", headers={"Retry-After": "10"})
    async with runtime.sessions() as session:
        await check_unit(session, unit, caller)
        after = _position(last_event_id) if last_event_id else await _before_the_newest(session, unit)
    return TerminalResponse(_frames(runtime, caller, unit, after), headers={"X-Accel-Buffering": "no"})


def _position(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MOST_POSITION:
        raise InvalidRequest("Last-Event-ID is the id of an event of this stream.", pointer="/Last-Event-ID")
    return int(text)


async def _before_the_newest(session: Any, unit: str) -> int:
    own = select(unit_status.c.incident).where(unit_status.c.unit == unit).scalar_subquery()
    newest = select(func.max(crew_messages.c.position)).where(crew_messages.c.incident == own, literal(unit) == any_(crew_messages.c.units))
    found = await session.scalar(newest)
    return int(found) - 1 if found is not None else int(await session.scalar(select(func.coalesce(func.max(crew_messages.c.position), 0))))


async def _frames(runtime: Runtime, caller: Caller, unit: str, after: int) -> AsyncIterator[bytes]:
    """Everything that is sent, until the token ends."""
    terminals = runtime.own.terminals
    terminals.streams[caller.subject] += 1
    try:
        with terminals.listening(unit) as told:
            yield format_sse_event(comment="messages to the crew", retry=RETRY_MS)
            while runtime.tokens.still_valid(caller):
                told.clear()
                found = await _page(runtime, unit, caller, after)
                for row in found or ():
                    after = row.position
                    yield _frame(row, caller)
                if found == []:
                    if not await _within(told, min(HEARTBEAT_S, caller.expires + 0.1 - time.time())):
                        yield format_sse_event(comment="alive")
                elif found is None:
                    await asyncio.sleep(1.0)
                    yield format_sse_event(comment="alive")
        yield format_sse_event(event="closed", data_str='{"reason":"token-ended"}')
    finally:
        terminals.streams -= {caller.subject: 1}


async def _within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.01, seconds)):
            await event.wait()
    return event.is_set()


async def _page(runtime: Runtime, unit: str, caller: Caller, after: int) -> Sequence[Any] | None:
    """What follows; None while the database does not answer."""
    try:
        async with runtime.sessions() as session:
            await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})  # one statement: no round trips around it
            return await messages_for(session, unit, caller, after, PAGE)
    except (SQLAlchemyError, OSError, TimeoutError):
        return None


def _frame(row: Any, caller: Caller) -> bytes:
    data = orjson.dumps(shown_message(row, caller))
    return b"id: %d\nevent: crews-message\ndata: %b\n\n" % (row.position, data)
