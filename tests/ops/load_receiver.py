"""A small server at the other end of a load: gives tokens, takes batches, and fails as a test tells it to."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

CUT = "cut"
"""Close the connection instead of answering."""
Behaviour = Callable[["Received"], Any]


@dataclass(frozen=True)
class Received:
    """A batch as it arrived."""

    number: int
    """How many requests to this path came before it."""
    method: str
    path: str
    key: str
    token: str
    query: dict[str, list[str]]
    rows: list[dict[str, Any]]
    body: bytes


def taken(received: Received) -> dict[str, Any]:
    """The answer of a service that takes everything."""
    return {"taken": len(received.rows), "corrected": 0, "duplicates": 0, "rejected": 0, "errors": [], "unlisted_errors": 0}


@dataclass
class Receiver:
    """`behave` decides on each batch: an answer, a status, a status with headers, or `CUT`."""

    url: str = ""
    behave: Behaviour = taken
    batches: list[Received] = field(default_factory=list)
    tokens: int = 0
    lifetime_s: int = 900
    token_failures: list[int] = field(default_factory=list)
    """Statuses of the next answers to questions for a token."""
    under_way: int = 0
    most_under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def city(self, *services: str) -> dict[str, Any]:
        """What `run.json` would say."""
        clients = {name: {"id": name, "secret": "x"} for name in ("admin", *(f"{service}-system" for service in services))}
        return {"city": "430300", "services": {name: {"url": self.url} for name in ("hub", *services)}, "clients": clients}

    def keys(self) -> list[str]:
        return [batch.key for batch in self.batches]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """The server, on a free loopback port."""
    receiver = Receiver()
    server = _Server(receiver)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        address = urlsplit(self.path)
        receiver = self.server.receiver
        if address.path == "/oauth/token" and receiver.token_failures:
            self._act(receiver.token_failures.pop(0))
            return
        if address.path == "/oauth/token":
            receiver.tokens += 1
            self._answer(200, {"access_token": f"token-{receiver.tokens}", "expires_in": receiver.lifetime_s})
            return
        with receiver.lock:
            receiver.under_way += 1
            receiver.most_under_way = max(receiver.most_under_way, receiver.under_way)
            number = sum(batch.path == address.path for batch in receiver.batches)
            token = self.headers["Authorization"].removeprefix("Bearer ")
            received = Received(number, self.command, address.path, self.headers["Idempotency-Key"], token, parse_qs(address.query), self._rows(body), body)
            receiver.batches.append(received)
        behaviour = receiver.behave(received)
        with receiver.lock:
            receiver.under_way -= 1
        self._act(behaviour)

    do_PUT = do_POST  # noqa: N815 - the server's own name

    def _rows(self, body: bytes) -> list[dict[str, Any]]:
        if self.headers["Content-Type"] == "application/json":
            found: list[dict[str, Any]] = json.loads(body)
            return found
        with pa.ipc.open_stream(body) as reader:
            return list(reader.read_all().to_pylist())

    def _act(self, behaviour: Any) -> None:
        if behaviour == CUT:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, as from a killed process
            self.close_connection = True
        elif isinstance(behaviour, int):
            self._answer(behaviour, {"title": f"title of {behaviour}", "detail": "why"})
        elif isinstance(behaviour, tuple):
            self._answer(behaviour[0], {"title": "later"}, behaviour[1])
        else:
            self._answer(200, behaviour)

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read what was received."""


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """A file with this content, compressed if its name says so."""
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
