"""Servers that keep the contract but for one thing: a real service behind something that changes what it is asked or what it answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

Query = list[tuple[str, str]]


@dataclass
class Exchange:
    """A request on its way in, then its answer on its way out."""

    method: str
    path: str
    query: Query
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answered: dict[str, str] | None = None

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    def says(self, found: Any) -> None:
        self.body = orjson.dumps(found)

    def without(self, *names: str) -> None:
        self.query = [(name, value) for name, value in self.query if name not in names]


Change = Callable[[Exchange], None]


@dataclass
class Mutated:
    """An ASGI application around another one. `asked` changes requests, `answer` answers, to the paths that match."""

    app: Any
    path: str
    asked: Change | None = None
    answer: Change | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not re.search(self.path, scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        exchange = Exchange(scope["method"], scope["path"], query, headers, await _read(receive))
        if self.asked:
            self.asked(exchange)
        await self._pass(exchange, scope)
        if self.answer:
            self.answer(exchange)
        answered = {**(exchange.answered or {}), "content-length": str(len(exchange.body))}
        await send({"type": "http.response.start", "status": exchange.status, "headers": [(k.encode(), v.encode("latin-1")) for k, v in answered.items()]})
        await send({"type": "http.response.body", "body": exchange.body})

    async def _pass(self, exchange: Exchange, scope: Any) -> None:
        inside = {
            **scope,
            "query_string": urlencode(exchange.query).encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in exchange.headers.items()],
        }
        sent, content = exchange.body, bytearray()

        async def receive() -> Any:
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.answered = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            else:
                content.extend(message.get("body", b""))

        await self.app(inside, receive, send)
        exchange.body = bytes(content)


async def _read(receive: Any) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(content)
