"""How calls to a source travel: httpx's interface of a transport on aiohttp, whose parser is written in C (ADR 0021)."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from shared.certificates import trusted

READ_AHEAD = 1024 * 1024
"""Bytes of an answer that wait for their taker before the source is held back; up to twice as many come in one piece."""
HEADER_BYTES = 100 * 1024
"""Of one header: a table in CSV names its sources in a `Link`."""
HEADERS = 64
MOST_UNHEARD = 16
"""Of answers, interim ones (1xx) among them, that have come and that nobody has taken yet."""
_LARGE = 1024 * 1024
_NOTHING_OF_ITS_OWN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class SourceTransport(httpx.AsyncBaseTransport):
    """The connections to one source. The request goes as it is: no redirects, cookies, proxies, timeouts or second tries of its own.

    What goes wrong is an `httpx.TransportError`, as with httpx's own transport.
    """

    def __init__(self, *, connections: int, keepalive_s: float) -> None:
        self._most, self._keepalive_s = connections, keepalive_s
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._asking: set[asyncio.Task[Any]] = set()
        """Calls whose answers have not begun."""
        self._answers: set[_Answer] = set()
        """Answers that somebody still takes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise httpx.CloseError("These connections are closed.")
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"Neither http nor https: {request.url.scheme}.")
        task = asyncio.current_task()
        assert task is not None
        cancelled = task.cancelling()
        self._asking.add(task)
        try:
            answer = await self._ask(request)
        except asyncio.CancelledError as error:
            if self._closed and task.uncancel() <= cancelled:  # by `aclose`, and by nobody else
                raise httpx.CloseError("The connections were closed meanwhile.") from error
            raise
        except aiohttp.ClientError as error:
            raise _translated(error) from error
        except ValueError as error:
            raise httpx.LocalProtocolError(str(error)) from error
        finally:
            self._asking.discard(task)
        self._answers.add(answer)
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=_Body(answer, self._answers))

    async def aclose(self) -> None:
        """At once: calls under way fail, answers break off."""
        self._closed = True
        for task in self._asking:
            task.cancel()
        for answer in self._answers:
            answer.close()
        await asyncio.sleep(0)  # the cancelled calls drop what they have not sent, which closing would wait for
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, request: httpx.Request) -> _Answer:
        if self._session is None:
            self._session = self._opened()
        url, content = request.url, await request.aread()
        answer = await self._session.request(
            request.method,
            yarl.URL(f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}", encoded=True),
            headers=request.headers.multi_items(),
            data=io.BytesIO(content) if len(content) > _LARGE else content or None,
            allow_redirects=False,
            server_hostname=request.extensions.get("sni_hostname"),
        )
        assert isinstance(answer, _Answer)
        return answer

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=trusted(),
            limit=self._most,
            keepalive_timeout=self._keepalive_s,
            use_dns_cache=False,
            resolver=aiohttp.ThreadedResolver(),
        )
        line: type[ResponseHandler] = _Line
        connector._factory = partial(line, loop=asyncio.get_running_loop())
        return aiohttp.ClientSession(
            connector=connector,
            request_class=_Request,
            response_class=_Answer,
            middlewares=(_once,),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            skip_auto_headers=_NOTHING_OF_ITS_OWN,
            read_bufsize=READ_AHEAD,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )


class _Line(ResponseHandler):
    """A connection that ends when its source goes on speaking unasked: aiohttp would keep all of it, and look at nothing else meanwhile."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self) > MOST_UNHEARD:
            self._buffer.clear()
            self.set_exception(aiohttp.ServerDisconnectedError("The source goes on speaking unasked."))
            if self.transport is not None:
                self.transport.abort()


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Not on a connection on which the source spoke unasked: that would be taken for the answer."""
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError("The source spoke on a kept connection before it was asked.")
        return await super().send(conn)


class _Answer(aiohttp.ClientResponse):
    """An answer that hears of its connection's end: aiohttp leaves the taker waiting after a chunk that is none."""

    cut: BaseException | None = None
    """Why the connection ended, if not by the source's closing it: an answer without a length is then not whole."""
    _end: asyncio.Future[None] | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        await super().start(connection)
        if not self.content.is_eof() and connection.protocol is not None and (end := connection.protocol.closed) is not None:
            end.remove_done_callback(_heard)  # of an earlier answer on this connection
            end.add_done_callback(_heard)
            end.add_done_callback(self._ended)
            self._end = end
        return self

    def close(self) -> None:
        """At once: nothing more is sent either, however much of the request is left."""
        self.let_go()
        transport = self.connection.transport if self.connection else None
        if self.content is not None and not self.content.is_eof():
            self.content.set_exception(aiohttp.ClientConnectionError("closed"))
        super().close()
        if transport is not None:
            transport.abort()

    def let_go(self) -> None:
        """Its connection's end is no longer of interest."""
        if self._end is not None:
            self._end.remove_done_callback(self._ended)
            self._end = None

    def _ended(self, end: asyncio.Future[None]) -> None:
        self.cut = end.exception()
        if not self.content.is_eof() and self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientPayloadError("The connection ended before the answer."))


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: _Answer, answers: set[_Answer]) -> None:
        self._answer, self._answers = answer, answers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """All that has come, as often as something has. Others have their turn between, and deadlines: a source may always have more."""
        try:
            while piece := await self._answer.content.readany():
                yield piece
                await asyncio.sleep(0)
        except aiohttp.ClientError as error:
            raise httpx.ReadError(str(error)) from error
        if self._answer.cut is not None:
            raise httpx.ReadError(str(self._answer.cut)) from self._answer.cut

    async def aclose(self) -> None:
        self._answers.discard(self._answer)
        if self._answer.connection is not None:
            self._answer.close()
        else:
            self._answer.let_go()


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Sent once: aiohttp would try questions that change nothing a second time, but not after these failures. Who asks decides that here."""
    try:
        return await send(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _translated(error) from error


def _translated(error: aiohttp.ClientError | OSError) -> httpx.TransportError:
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError(str(error))
    if isinstance(error, aiohttp.ServerTimeoutError):
        return httpx.ConnectTimeout(str(error))
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError)):
        return httpx.RemoteProtocolError(str(error))
    if isinstance(error, aiohttp.InvalidURL):
        return httpx.UnsupportedProtocol(str(error))
    return httpx.ReadError(str(error))


def _heard(end: asyncio.Future[None]) -> None:
    """The end of a kept connection that nobody waits for is nothing to report."""
    end.exception()
