"""What every request passes through: ids, a bound on its body, a log line, a measurement."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from shared import log
from shared.errors import BodyTooLarge, Problem
from shared.vocabulary import Text

REQUESTS = Histogram(
    "liandong_request_seconds",
    "Time from request to the end of the answer",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
REFUSED_BODIES = Counter("liandong_refused_bodies_total", "Requests refused because the body passed the limit", ["service"])
BODY_PATIENCE_S = 20.0
"""How long the next piece of a request's body may take."""
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("request")


class RequestTimeout(Problem):
    slug, status = "request-timeout", 408
    title = Text("请求体发送过慢", "Request body too slow")
    remedy = Text("连接稳定后重发；未写入任何内容。", "Send again over a steadier connection; nothing was written.")


class Requests:
    """ASGI middleware. `load_paths` may receive up to the setting `load_limit`, all others `body_limit`."""

    def __init__(self, app: ASGIApp, *, service: str, load_paths: Sequence[str]) -> None:
        self.app, self.service, self.load_paths = app, service, frozenset(load_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent_id = headers.get("x-request-id", "")
        request_id = sent_id if _SAFE_ID.fullmatch(sent_id) else str(ULID())
        log.request_id.set(request_id)
        log.traceparent.set(log.new_traceparent(headers.get("traceparent")))
        started, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered["X-Request-Id"] = request_id
                answered.setdefault("X-Content-Type-Options", "nosniff")
                answered.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, self._bounded(receive, scope, headers), answer)
        finally:
            elapsed = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            REQUESTS.labels(self.service, scope["method"], route, status).observe(elapsed)
            if route not in ("/healthz", "/readyz", "/metrics"):
                _log.info("answered", method=scope["method"], route=route, status=status, ms=round(elapsed * 1000, 1))

    def _bounded(self, receive: Receive, scope: Scope, headers: Headers) -> Receive:
        settings = scope["app"].state.runtime.settings
        limit = settings.load_limit if scope["path"] in self.load_paths else settings.body_limit
        declared = headers.get("content-length", "0")
        taken, ended = 0, False

        async def bounded() -> Message:
            nonlocal taken, ended
            if ended:
                return await receive()
            if declared.isdigit() and int(declared) > limit:
                REFUSED_BODIES.labels(self.service).inc()
                raise BodyTooLarge(f"The body has {declared} bytes; at most {limit} are taken here.")
            try:
                async with asyncio.timeout(BODY_PATIENCE_S):
                    message = await receive()
            except TimeoutError as error:
                raise RequestTimeout(f"No more of the body came within {BODY_PATIENCE_S:.0f} s.") from error
            taken += len(message.get("body", b""))
            ended = message["type"] != "http.request" or not message.get("more_body", False)
            if taken > limit:
                REFUSED_BODIES.labels(self.service).inc()
                raise BodyTooLarge(f"The body passed {limit} bytes, the most that is taken here.")
            return message

        return bounded
