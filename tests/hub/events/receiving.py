"""Entries as sectors append them, and a receiver of the hub's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from ulid import ULID


def entry(number: int, service: str = "food", kind: str | None = None, **changed: Any) -> dict[str, str]:
    """An event about a thing, as the drainer of a service appends it."""
    envelope = {
        "specversion": "1.0",
        "id": str(ULID()),
        "source": f"/430300/{service}",
        "type": kind or f"{service}.thing.noted.v1",
        "subject": f"things/{number % 7}",
        "time": datetime.now(UTC).isoformat(),
        "sequence": str(number + 1),
        "area": "430302",
        "data": {"number": number, "text": "线\n两行 \r\n"},
    }
    return {"event": orjson.dumps({name: value for name, value in (envelope | changed).items() if value is not None}).decode()}


def append(admin: Any, *entries: dict[str, str], service: str = "food") -> None:
    """Append entries to a service's stream in one exchange."""
    with admin.pipeline(transaction=False) as pipeline:
        for one in entries:
            pipeline.xadd(f"events:430300/{service}", one)
        pipeline.execute()


@dataclass
class Receiver:
    """What came over one stream."""

    headers: httpx.Headers
    ids: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    closed: dict[str, Any] | None = None
    comments: int = 0
    ended: bool = False

    @property
    def numbers(self) -> list[int]:
        return [event["data"]["number"] for event in self.events]

    async def read(self, answer: httpx.Response) -> None:
        block: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                block[name] = value
            elif block:
                self._take(block)
                block = {}
        self.ended = True

    def _take(self, block: dict[str, str]) -> None:
        if block.get("event") == "closed":
            self.closed = orjson.loads(block["data"])
        elif "data" in block:
            self.ids.append(int(block["id"]))
            self.events.append(orjson.loads(block["data"]))


@asynccontextmanager
async def receiving(
    client: httpx.AsyncClient, headers: Mapping[str, str], *, resume: int | None = None, params: Mapping[str, Any] | None = None
) -> AsyncIterator[Receiver]:
    """A receiver that reads until the end of the block; it has connected when the block begins."""
    resumed = {} if resume is None else {"Last-Event-ID": str(resume)}
    async with client.stream("GET", "/events/stream", headers={**headers, **resumed}, params=params) as answer:
        assert answer.status_code == 200, await answer.aread()
        receiver = Receiver(answer.headers)
        task = asyncio.create_task(receiver.read(answer))
        try:
            while not receiver.comments and not receiver.ended:
                await asyncio.sleep(0.005)
            yield receiver
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
