"""Asks a server that nobody vouches for: every answer bounded in time and bytes, no redirect followed, nothing decompressed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from ops.conform.model import Unanswered, fail, plain

MIB = 1024 * 1024


class GivenUp(Exception):
    """The whole run has reached one of its bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may cost, at most."""

    answer_s: float = 10.0
    total_s: float = 600.0
    answer_bytes: int = 16 * MIB
    total_bytes: int = 1024 * MIB
    silences: int = 5
    """After so many questions in a row without an answer, the server is left alone."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whatever its status."""

    asked: str
    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def media_type(self) -> str:
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def json(self) -> Any:
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            fail(f"{self.asked} is not JSON: {error}")

    def ok(self, *statuses: int) -> Reply:
        """Itself, if it has the status, 200 unless others are named."""
        if self.status not in (statuses or (200,)):
            fail(f"{self.asked} answered {self.status}{_said(self)}; {' or '.join(map(str, statuses or (200,)))} is expected.")
        return self


def _said(reply: Reply) -> str:
    if 300 <= reply.status < 400:
        return f" (a redirect to {reply.headers.get('location', 'nowhere')}, which is not followed)"
    try:
        body = orjson.loads(reply.content[: 64 * 1024])
    except orjson.JSONDecodeError:
        return ""
    return f" ({body.get('title')}: {body.get('detail')})" if isinstance(body, dict) and "title" in body else ""


class Asker:
    """Sends the questions of a run to one server; the token goes to that server only."""

    def __init__(self, url: str, token: str | None = None, limits: Limits | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url, self.token, self.limits = url.rstrip("/"), token, limits or Limits()
        self.requests = self.bytes = self._silences = 0
        self._began = time.monotonic()
        self._http = httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False, transport=transport)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | list[tuple[str, Any]] | None = None, **others: Any) -> Reply:
        return await self.ask("GET", path, params=params, **others)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | list[tuple[str, Any]] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Reply:
        """One question. `token`: the run's own if not given, none at all if None. `Unanswered` if there is no answer within the bounds."""
        bearer = self.token if token == "" else token
        sent = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {bearer}"} if bearer else {}), **(headers or {})}
        if json is not None:
            content, sent["Content-Type"] = orjson.dumps(json), "application/json"
        asked = f"{method} {path[:120]}"
        left = self._left()
        self.requests += 1
        try:
            request = self._http.build_request(method, self.url + path, params=params, content=content, headers=sent)
            async with asyncio.timeout(min(self.limits.answer_s, left)):
                reply = await self._read(asked, request)
        except TimeoutError:
            self._silent(f"{asked} was not answered within {min(self.limits.answer_s, left):.0f} s.")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, RuntimeError) as error:
            self._silent(f"{asked} was not answered: {type(error).__name__} {plain(error)[:150]}")
        self._silences = 0
        return reply

    def path_of(self, href: object) -> str:
        """The path and query of a link, which must lead to the same server: anything else would be handed the token."""
        here, there = urlsplit(self.url), urlsplit(str(href)[:8000])
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or not there.path.startswith(here.path):
            fail(f"The link {plain(href)[:200]} leads away from {self.url}.")
        return there.path.removeprefix(here.path) + (f"?{there.query}" if there.query else "")

    def _left(self) -> float:
        left = self.limits.total_s - (time.monotonic() - self._began)
        if left <= 0:
            raise GivenUp(f"The run has taken its {self.limits.total_s:.0f} s.")
        if self.bytes > self.limits.total_bytes:
            raise GivenUp(f"The server has sent more than {self.limits.total_bytes // MIB} MiB in all.")
        if self._silences >= self.limits.silences:
            raise GivenUp(f"The server left {self._silences} questions in a row without an answer.")
        return left

    def _silent(self, why: str) -> Any:
        self._silences += 1
        raise Unanswered(plain(why))

    async def _read(self, asked: str, request: httpx.Request) -> Reply:
        response = await self._http.send(request, stream=True)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("the answer is compressed although it was asked not to be")
            received = bytearray()
            async for piece in response.aiter_raw():
                received += piece
                self.bytes += len(piece)
                if len(received) > self.limits.answer_bytes:
                    raise ValueError(f"the answer is longer than {self.limits.answer_bytes // MIB} MiB")
            return Reply(asked, response.status_code, response.headers, bytes(received))
        finally:
            await response.aclose()
