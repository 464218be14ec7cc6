"""Streams of records as HTTP answers: what a service has of a dataset, in one answer of bounded memory that cannot be taken for whole if it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from shared.datasets.answers import CACHE, Asked, items_answer, now_text
from shared.datasets.bulk_blocks import block_statement, rows_of
from shared.datasets.bulk_forms import Stream, closed, encoded
from shared.datasets.bulk_rows import Layout, Shape
from shared.datasets.bulk_sql import as_text, rows_statement
from shared.datasets.extent import CRS84, EPSG4326, parse_moment
from shared.datasets.formats import MEDIA_TYPES, Form, asked_form
from shared.datasets.record_query import RecordQuery
from shared.datasets.view import View
from shared.errors import InvalidRequest
from shared.passage import arriving

PIECE = 256 * 1024
"""Most bytes handed to the connection at once: what a client that stops reading can hold."""
HUB_WAITS_S = 3.0
"""A hub's stream waits so long for a place: it asks for several at once, and without this one the answer that it makes of them would not be complete."""
SHAPE_HEADER = "Liandong-Rows"
"""By which a hub asks for rows in another shape than the paged form has: `features` or `fields` (`bulk_rows.Shape`)."""
_log = structlog.get_logger("stream")


class StreamedAnswer(Response):
    """Pieces as they come; `opened` is closed when the last has left, when the client has, or when nothing moves for `idle_s`.

    An answer that fails or takes longer than `limit_s` is not completed: the chunked coding breaks off, which every HTTP client notices.
    """

    def __init__(self, pieces: AsyncIterator[bytes], opened: AsyncExitStack, *, form: Form, headers: Mapping[str, str], limit_s: float, idle_s: float) -> None:
        super().__init__(media_type=MEDIA_TYPES[form], headers={**CACHE, **headers})
        del self.headers["content-length"]
        self._pieces, self._opened, self._limit_s, self._idle_s = pieces, opened, limit_s, idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI calls it
        async with self._opened, closed(self._pieces):
            sending = asyncio.create_task(self._send(send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (sending, leaving):
                    task.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with asyncio.timeout(self._limit_s):
                async for piece in self._pieces:
                    for start in range(0, len(piece), PIECE):
                        async with asyncio.timeout(self._idle_s):
                            await send({"type": "http.response.body", "body": piece[start : start + PIECE], "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:  # noqa: BLE001  # the status has left already: to break off is all that can still be said
            _log.warning("a stream broke off", error=repr(error)[:300])


async def _left(receive: Receive) -> None:
    """Until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def records_answer(asked: Asked) -> Response:
    """A page of rows, or all of them as a stream."""
    query = asked.query()
    return await stream_answer(asked, query) if query.streams else await items_answer(asked)


async def stream_answer(asked: Asked, query: RecordQuery) -> Response:
    """Every row that meets the query, or `TooMany` if as many streams as may be are under way."""
    form = asked_form(query.given.get("f"), asked.request.headers.get("accept", ""))
    runtime, settings = asked.request.app.state.runtime, asked.settings
    passage = arriving(asked.request, settings.audience, wanted_s=settings.stream_timeout_s, most_s=settings.stream_timeout_s)
    seen = await _view(asked, query)
    layout = Layout.of(seen, query.chosen(), shape_of(asked.request, form))
    single = as_text(rows_statement(seen, query, layout.read))
    blocks = await block_statement(asked.connection, seen, query, layout.read, single)
    await asked.connection.close()  # the stream has a connection of its own
    about: dict[str, Any] = {"dataset": asked.dataset.id, "timeStamp": now_text(), **({"known_at": seen.known_at} if seen.known_at else {})}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(runtime.bulk.admitted(HUB_WAITS_S if asked.caller.actor else 0.0))
        arrived = await stack.enter_async_context(runtime.bulk.reading(blocks or single))
        rows = rows_of(layout.read, arrived) if blocks else arrived
        stream = Stream(layout.schema, shaped(layout, rows), about)
        return StreamedAnswer(
            encoded(stream, form, swapped=query.swapped),
            stack.pop_all(),
            form=form,
            headers={"Content-Crs": f"<{EPSG4326 if query.swapped else CRS84}>"},
            limit_s=passage.remaining_s,
            idle_s=passage.remaining_s if asked.caller.actor else settings.stream_idle_s,  # a hub that merges sorted rows lets some sources wait for others
        )
    raise AssertionError  # a stack of our own passes every exception on


async def shaped(layout: Layout, batches: AsyncIterator[Any]) -> AsyncGenerator[Any]:
    """The database's batches as those of the stream."""
    async for batch in batches:
        yield layout.shaped(batch)  # half a millisecond: less than the way to a thread and back


def shape_of(request: Request, form: Form) -> Shape:
    """The shape in which rows are wanted; GeoJSON is made of features."""
    told = request.headers.get(SHAPE_HEADER)
    if told is not None and (told not in ("features", "fields") or form != "arrow"):
        raise InvalidRequest(f"{SHAPE_HEADER} is features or fields, for Arrow.", pointer=f"/{SHAPE_HEADER}")
    if told == "fields":
        return "fields"
    return "table" if told is None and form in ("arrow", "csv") else "features"


async def _view(asked: Asked, query: RecordQuery) -> View:
    known_at = query.given.get("known_at")
    seen = await asked.view(parse_moment(known_at, pointer="/known_at") if known_at else None)
    return replace(seen, geometry=None) if query.skips_geometry else seen
