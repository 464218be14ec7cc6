"""The rows of a scan on their way from the sources into the process that computes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from services.hub.federation.scans import scan
from services.hub.sql.domain import Rows
from shared.caller import Caller
from shared.datasets.bulk_forms import END_MARK
from shared.datasets.coverage import SourceAnswer
from shared.passage import Passage
from shared.service import Runtime


@dataclass(frozen=True, slots=True)
class Asking:
    """On whose behalf, until when, and of whom scans are asked."""

    runtime: Runtime
    caller: Caller
    passage: Passage
    named: frozenset[str] | None = None
    known_at: str | None = None


@dataclass(eq=False)
class Feed:
    """One scan: opened first, so that what speaks against it is known before anything is computed; then sent."""

    asking: Asking
    wanted: Rows
    answers: Sequence[SourceAnswer] = ()
    limited: bool = False
    failure: BaseException | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    _way: asyncio.Future[socket.socket] | None = None
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._way = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())

    def send_to(self, way: socket.socket) -> None:
        if self._way is not None and not self._way.done():
            self._way.set_result(way)

    async def stop(self) -> None:
        """No more rows are needed; afterwards `answers` are complete."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        asking, wanted = self.asking, self.wanted
        try:
            async with scan(
                asking.runtime,
                asking.caller,
                wanted.dataset,
                columns=wanted.columns,
                filter=wanted.filter,
                limit=wanted.limit,
                passage=asking.passage,
                named=asking.named,
                known_at=asking.known_at,
            ) as found:
                self.answers, self.limited = found.answers, found.limited
                self.opened.set()
                assert self._way is not None
                way = await self._way
                with suppress(BrokenPipeError, ConnectionResetError):  # DuckDB has what it needs
                    await _send(way, found.schema)
                    async for batch in found.batches:
                        await _send(way, batch)
                    await asyncio.get_running_loop().sock_sendall(way, END_MARK)
                way.close()
        except Exception as error:  # noqa: BLE001  # raised again where the answer is made
            self.failure = error
            if self._way is not None and self._way.done() and not self._way.cancelled():
                self._way.result().close()
        finally:
            self.opened.set()


async def _send(way: socket.socket, part: pa.Schema | pa.RecordBatch) -> None:
    await asyncio.get_running_loop().sock_sendall(way, memoryview(part.serialize()))


async def send_table(way: socket.socket, table: pa.Table) -> None:
    """A table that is here already."""
    with suppress(BrokenPipeError, ConnectionResetError):
        await _send(way, table.schema)
        for batch in table.to_batches(max_chunksize=65_536):
            await _send(way, batch)
        await asyncio.get_running_loop().sock_sendall(way, END_MARK)
    way.close()
