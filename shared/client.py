"""Calls from one service to another: bounded in time, size and number, cut off when a source keeps failing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx
import orjson

from shared import log
from shared.breaker import Breaker, State
from shared.passage import Passage
from shared.source_failures import SourceBusy, SourceDenied, SourceFailure, SourceOverloaded, SourceRefused, SourceSkipped, SourceTimeout
from shared.source_transport import SourceTransport

AT_ONCE = 8
"""Most calls to one source at the same time,"""
LONG_AT_ONCE = 5
"""and most of them that have more than `LIGHT_S`: light questions find a place however many heavy ones wait."""
LIGHT_S = 5.0
STREAMS_AT_ONCE = 8
"""Most streams from one source at the same time, beside its calls."""
FAIR_S = 0.5
"""A timeout counts against the source only if it had at least this long,"""
ALIVE_S = 5.0
"""and only if the source has answered nothing at all for so long: a heavy question must not shut it for light ones."""
_SPARE = 4
"""Connections for what insists."""
_KEPT_S = 30.0
"""A connection is kept this long without a call."""
MIB = 1024 * 1024
_ALWAYS = {"Accept": "*/*", "User-Agent": "liandong"}
_STALE = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)
"""What a kept connection raises when the source has closed it meanwhile: tried once more on a new one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source answered with 200 or 304."""

    status: int
    headers: httpx.Headers
    content: bytes
    elapsed_ms: int


@dataclass(slots=True)
class Connections:
    """The connections to one source. Redirects, cookies and credentials, which a client of httpx looks after at every call, are none of its business."""

    transport: httpx.AsyncBaseTransport
    closed: bool = False

    async def aclose(self) -> None:
        self.closed = True
        await self.transport.aclose()


@dataclass(slots=True)
class Gate:
    """What is remembered of one source between calls."""

    http: Connections
    answered: float = -ALIVE_S
    """When it last answered anything, on the clock of `time.monotonic`."""
    breaker: Breaker = field(default_factory=Breaker)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    long: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LONG_AT_ONCE))
    streams: int = 0
    """Streams under way."""

    @asynccontextmanager
    async def place(self, given_s: float) -> AsyncIterator[None]:
        """A place among the calls under way, in the order of coming; those with much time take turns for fewer places."""
        async with self.long if given_s > LIGHT_S else nullcontext(), self.places:
            yield

    def succeeded(self) -> None:
        self.answered = time.monotonic()
        self.breaker.succeeded()

    def heard_of(self, failure: SourceFailure) -> None:
        """A refusal is an answer; busy or too slow for this question tells nothing; all else is the source's own fault."""
        if isinstance(failure, (SourceRefused, SourceDenied)):
            self.succeeded()
        elif not isinstance(failure, (SourceTimeout, SourceOverloaded)):
            self.breaker.failed(time.monotonic())

    def timed_out(self, given_s: float) -> None:
        now = time.monotonic()
        if given_s >= FAIR_S and now - self.answered >= ALIVE_S:
            self.breaker.failed(now)


class SourceClient:
    """Asks sources by name and address; one for a whole process, closed by `aclose`."""

    def __init__(
        self, *, private_addresses: bool = True, transport: httpx.AsyncBaseTransport | None = None, guard: Callable[[str], None] = lambda _: None
    ) -> None:
        """`guard` raises the `SourceFailure` of a source that must be sent nothing; calls that insist pass it."""
        self._transport, self._private, self._guard = transport, private_addresses, guard
        self._gates: dict[str, Gate] = {}
        self._forgotten: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        gates, self._gates = self._gates, {}
        await asyncio.gather(*(gate.http.aclose() for gate in gates.values()), *self._forgotten)

    def circuit(self, source: str) -> State:
        """State of a source's circuit breaker."""
        return self._gate(source).breaker.state(time.monotonic())

    def streams(self, source: str) -> int:
        """Streams from a source that are under way."""
        return self._gate(source).streams

    def forget(self, source: str) -> None:
        """A source that is no longer asked."""
        if gate := self._gates.pop(source, None):
            closing = asyncio.get_running_loop().create_task(gate.http.aclose())
            self._forgotten.add(closing)
            closing.add_done_callback(self._forgotten.discard)

    async def ask(
        self,
        source: str,
        url: str,
        passage: Passage,
        *,
        token: str | None = None,
        method: str = "GET",
        params: Sequence[tuple[str, str]] = (),
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit_bytes: int = 32 * MIB,
        insist: bool = False,
    ) -> Answer:
        """The source's whole answer, or a `SourceFailure` that says why there is none; never later than the passage allows.

        `insist`: ask even a source that is left alone or has no place, as a heartbeat does; its answer ends the pause at once.
        """
        sent = {"Accept-Encoding": "identity", **passage.headers(), **_tracing(), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if json is not None:
            sent["Content-Type"] = "application/json"
        body = content if json is None else orjson.dumps(json)
        gate = self._gate(source)
        request = _request(method, url, params, body, sent)
        async with self._admitted(source, gate, passage, insist):
            started = time.monotonic()
            status, answered, content = await self._send(source, gate.http, request, limit_bytes)
            elapsed_ms = round((time.monotonic() - started) * 1000)
            if status not in (200, 304):
                raise _not_ok(source, status, content)
        return Answer(status, answered, content, elapsed_ms)

    @asynccontextmanager
    async def stream(
        self,
        source: str,
        url: str,
        passage: Passage,
        *,
        begins_s: float,
        idle_s: float,
        token: str | None = None,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of a source's answer as they come, once it has begun within `begins_s`; a `SourceFailure` that says why there are none.

        While they come, one raises `SourceTimeout` if nothing has come for `idle_s` or the passage is over, `SourceFailure` if they break off.
        """
        sent = {"Accept-Encoding": "identity", **passage.headers(), **_tracing(), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        gate = self._gate(source)
        request = _request("GET", url, params, None, sent)
        if gate.streams >= STREAMS_AT_ONCE:
            raise SourceBusy(f"{STREAMS_AT_ONCE} streams from {source} are under way.")
        gate.streams += 1
        try:
            async with AsyncExitStack() as held:
                async with self._admitted(source, gate, passage.within(begins_s), insist=False):
                    response = await self._begun(source, gate.http, request, held)
                yield _pieces(source, response, passage, idle_s)
        finally:
            gate.streams -= 1

    async def _begun(self, source: str, http: Connections, request: httpx.Request, held: AsyncExitStack) -> httpx.Response:
        try:
            if not self._private:
                await _pin_public_address(request)
            response = await _open(source, http, request)
            held.push_async_callback(response.aclose)
            if response.status_code != 200:
                raise _not_ok(source, response.status_code, await _bounded(source, response, MIB))
            if response.headers.get("content-encoding", "identity") != "identity":
                raise SourceFailure(f"{source} answered compressed although it was asked not to.")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise SourceFailure(f"{source} cannot be reached or broke off: {type(error).__name__}.") from error
        return response

    @asynccontextmanager
    async def _admitted(self, source: str, gate: Gate, passage: Passage, insist: bool) -> AsyncIterator[None]:
        """A place among the calls to the source, the deadline, and the breaker told how it went; what insists goes beside them: busy is not down."""
        given_s = passage.remaining_s
        if not insist:
            self._guard(source)
        if insist:
            gate.breaker.insisted(time.monotonic())
        elif not gate.breaker.admits(time.monotonic()):
            raise SourceSkipped(f"{source} kept failing and is left alone for a moment.")
        admitted = False
        try:
            async with asyncio.timeout(given_s), nullcontext() if insist else gate.place(given_s):
                admitted = True
                yield
            gate.succeeded()
        except SourceFailure as failure:
            gate.heard_of(failure)
            raise
        except TimeoutError as error:
            if not admitted:
                raise SourceBusy(f"{AT_ONCE} calls to {source} are under way and none ended in time.") from error
            gate.timed_out(given_s)
            raise SourceTimeout(f"{source} did not answer within {given_s * 1000:.0f} ms.") from error
        finally:
            gate.breaker.abandoned()

    async def _send(self, source: str, http: Connections, request: httpx.Request, limit_bytes: int) -> tuple[int, httpx.Headers, bytes]:
        try:
            if not self._private:
                await _pin_public_address(request)
            response = await _open(source, http, request)
            try:
                return response.status_code, response.headers, await _bounded(source, response, limit_bytes)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise SourceFailure(f"{source} cannot be reached or broke off: {type(error).__name__}.") from error

    def _gate(self, source: str) -> Gate:
        if source not in self._gates:
            self._gates[source] = Gate(self._connections())
        return self._gates[source]

    def _connections(self) -> Connections:
        """To one source. With a pool for all, each call looked at the connections of all."""
        return Connections(self._transport or SourceTransport(connections=AT_ONCE + STREAMS_AT_ONCE + _SPARE, keepalive_s=_KEPT_S))


_address = lru_cache(256)(httpx.URL)
"""The same for most calls, and taken apart once."""


def _request(method: str, url: str, params: Sequence[tuple[str, str]], body: bytes | None, headers: Mapping[str, str]) -> httpx.Request:
    return httpx.Request(method, _address(url), params=list(params) or None, content=body, headers={**_ALWAYS, **headers})


async def _open(source: str, http: Connections, request: httpx.Request) -> httpx.Response:
    """The beginning of the answer. If the source was forgotten meanwhile, its connections are closed: it said nothing, and that has a cause."""
    for again in (False, True):
        if http.closed:
            break
        try:
            return await http.transport.handle_async_request(request)
        except _STALE:
            if again:
                raise
    raise SourceFailure(f"{source} is no longer asked.") from ConnectionAbortedError("its connections were closed")


async def _bounded(source: str, response: httpx.Response, limit_bytes: int) -> bytes:
    """The body, given up when it grows beyond the bound or comes compressed, which could swell to any size."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SourceFailure(f"{source} answered compressed although it was asked not to.")
    pieces: list[bytes] = []
    received = 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        received += len(piece)
        if received > limit_bytes:
            raise SourceFailure(f"{source} answered with more than {limit_bytes} bytes.")
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) != received:
        raise SourceFailure(f"{source} broke off its answer.")
    return b"".join(pieces)


async def _pieces(source: str, response: httpx.Response, passage: Passage, idle_s: float) -> AsyncIterator[bytes]:
    """The body piece by piece; the time that the taker needs between two of them is not the source's."""
    received, pieces = 0, response.aiter_raw()
    try:
        while True:
            async with asyncio.timeout(min(idle_s, passage.remaining_s)):
                piece = await anext(pieces, None)
            if piece is None:
                break
            received += len(piece)
            yield piece
    except TimeoutError as error:
        why = f"sent nothing more for {idle_s:g} s" if passage.remaining_s > 0 else "had not sent everything when its time was over"
        raise SourceTimeout(f"{source} {why}.") from error
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        raise SourceFailure(f"{source} broke off its answer: {type(error).__name__}.") from error
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) != received:
        raise SourceFailure(f"{source} broke off its answer.")


def _not_ok(source: str, status: int, content: bytes) -> SourceFailure:
    """The failure that an answer other than 200 stands for."""
    said = _problem(content)
    failure = _failure(source, status, said)
    failure.said = said
    return failure


def _failure(source: str, status: int, said: Mapping[str, Any]) -> SourceFailure:
    if status in (401, 403):
        return SourceDenied(f"{source} answered {status}: {said.get('title', 'denied')}.")
    if status in (504, 408):
        return SourceTimeout(f"{source} answered {status}: it did not finish in time.")
    if status in (429, 503):
        return SourceOverloaded(f"{source} answered {status}: {said.get('title', 'busy')}.")
    if 400 <= status < 500:
        return SourceRefused(str(said.get("detail", f"{source} answered {status}."))[:1000], status, said)
    return SourceFailure(f"{source} answered {status}{': ' + str(said['title'])[:200] if 'title' in said else ''}.")


def _problem(content: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(content[: 64 * 1024])
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _tracing() -> dict[str, str]:
    """Ids by which the logs of all services on the way can be joined."""
    found = {"traceparent": log.traceparent.get(), "X-Request-Id": log.request_id.get()}
    return {name: value for name, value in found.items() if value is not None}


async def _pin_public_address(request: httpx.Request) -> None:
    """Let the request go to a public address only, and to the very one that was looked at, whatever the name means a moment later."""
    host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(ipaddress.ip_address(address.partition("%")[0]).is_global for address in addresses):
        raise SourceFailure(f"{host} is at a private address, which the settings do not allow to be asked.")
    request.headers["Host"] = request.url.netloc.decode("ascii")
    request.extensions = {**request.extensions, "sni_hostname": host}
    request.url = request.url.copy_with(host=addresses[0])
