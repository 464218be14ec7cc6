"""The rows of a scan on their way from the sources into the process that computes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from services.hub.federation.scans import scan
from services.hub.sql.bounds import MOST_KEYS, with_keys
from services.hub.sql.domain import Rows
from shared.caller import Caller
from shared.datasets.bulk_forms import END_MARK
from shared.datasets.coverage import SourceAnswer
from shared.passage import Passage
from shared.service import Runtime

MOST_LOOKED_AT = 20_000
"""Rows that another scan waits for, at most."""
_LOOKING_PART = 0.3
"""Of their time the sources have so much to give all keys; then the scan that waits for them is asked without."""
_KEPT_PART, _KEPT_S = 0.2, 10.0
"""Of the time of a statement so much, at most, is kept for computing: whoever has not sent everything before that is named as missing."""


@dataclass(frozen=True, slots=True)
class Asking:
    """On whose behalf, until when, and of whom scans are asked."""

    runtime: Runtime
    caller: Caller
    passage: Passage
    sources: Passage
    """The part of its time that the sources have."""
    named: frozenset[str] | None = None
    known_at: str | None = None

    @classmethod
    def begun(cls, runtime: Runtime, caller: Caller, passage: Passage, named: frozenset[str] | None, known_at: str | None) -> Self:
        kept_s = min(_KEPT_S, passage.remaining_s * _KEPT_PART)
        return cls(runtime, caller, passage, Passage(passage.ends - kept_s, passage.via), named, known_at)


@dataclass(eq=False)
class Feed:
    """One scan: opened first, so that what speaks against it is known before anything is computed; then sent."""

    asking: Asking
    wanted: Rows
    gives: str | None = None
    """The column whose values bound another feed."""
    after: Feed | None = None
    """The feed whose keys bound this one."""
    answers: Sequence[SourceAnswer] = ()
    limited: bool = False
    failure: BaseException | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: asyncio.Future[Sequence[str | int] | None] | None = None
    _way: asyncio.Future[socket.socket] | None = None
    _task: asyncio.Task[None] | None = None
    _patience: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._way, self._keys = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()
        self._patience = asyncio.get_running_loop().call_later(self.asking.sources.remaining_s * _LOOKING_PART, self._tell, None)
        self._task = asyncio.create_task(self._run())

    def send_to(self, way: socket.socket) -> None:
        if self._way is not None and not self._way.done():
            self._way.set_result(way)

    async def stop(self) -> None:
        """No more rows are needed; afterwards `answers` are complete."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._patience is not None:
            self._patience.cancel()

    async def _run(self) -> None:
        asking, wanted = self.asking, self.wanted
        try:
            keys = await asyncio.shield(self.after.keys) if self.after is not None else None
            async with scan(
                asking.runtime,
                asking.caller,
                wanted.dataset,
                columns=wanted.columns,
                filter=with_keys(wanted, keys),
                limit=wanted.limit,
                passage=asking.sources,
                named=asking.named,
                known_at=asking.known_at,
            ) as found:
                self.answers, self.limited = found.answers, found.limited
                self.opened.set()
                early = await self._looked_at(found.batches)
                assert self._way is not None
                way = await self._way
                with suppress(BrokenPipeError, ConnectionResetError):  # DuckDB has what it needs
                    await _send(way, found.schema)
                    for batch in early:
                        await _send(way, batch)
                    async for batch in found.batches:
                        await _send(way, batch)
                    await asyncio.get_running_loop().sock_sendall(way, END_MARK)
                way.close()
        except Exception as error:  # noqa: BLE001  # raised again where the answer is made
            self.failure = error
            if self._way is not None and self._way.done() and not self._way.cancelled():
                self._way.result().close()
        finally:
            self._tell(None)
            self.opened.set()

    @property
    def keys(self) -> asyncio.Future[Sequence[str | int] | None]:
        assert self._keys is not None
        return self._keys

    async def _looked_at(self, batches: AsyncIterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """The first rows, if another scan waits for their keys; it is told the keys if these were all rows."""
        if self.gives is None:
            return []
        early: list[pa.RecordBatch] = []
        rows = 0
        async for batch in batches:
            early.append(batch)
            rows += batch.num_rows
            if rows > MOST_LOOKED_AT:
                self._tell(None)
                return early
        column = pa.chunked_array([batch.column(self.gives) for batch in early]) if early else pa.chunked_array([[]], pa.string())
        different = pc.unique(column.drop_null())
        self._tell(different.to_pylist() if len(different) <= MOST_KEYS else None)
        return early

    def _tell(self, keys: Sequence[str | int] | None) -> None:
        """What the scan that waits has to know; only the first word counts."""
        if not self.keys.done():
            self.keys.set_result(keys)


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
