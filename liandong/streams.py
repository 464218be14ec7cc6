"""Rows while they arrive: Arrow batches out of an open answer, and the coverage with which it ends."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa

from liandong.coverage import Coverage
from liandong.problems import BrokenAnswer


class Arriving(io.RawIOBase):
    """The bytes of an open answer as a file; `more` gives the next ones, none at the end."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more, self._left = more, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._more())
        taken = min(len(buffer), len(self._left))
        buffer[:taken], self._left = self._left[:taken], self._left[taken:]
        return taken


def arriving(more: Callable[[], bytes]) -> io.BufferedReader:
    """Such a file that reads as much as it is asked for."""
    return io.BufferedReader(Arriving(more), 256 * 1024)


class Reading:
    """An Arrow stream, batch by batch, with what the hub says of it in its schema and in its last, empty batch."""

    def __init__(self, file: Any) -> None:
        try:
            self._reader = pa.ipc.open_stream(file)
        except (pa.ArrowException, OSError) as error:
            raise BrokenAnswer(f"The answer is no Arrow stream: {error}") from error
        self.schema: pa.Schema = self._reader.schema.remove_metadata()
        self.described: dict[str, Any] = json.loads((self._reader.schema.metadata or {}).get(b"liandong", b"{}"))

    def batch(self) -> pa.RecordBatch | None:
        """The next rows, None at the end. `BrokenAnswer` if the stream breaks off, which shows in what it says at its end, too."""
        try:
            while True:
                batch, said = self._reader.read_next_batch_with_custom_metadata()
                if said and b"liandong" in said:
                    self.described |= json.loads(said[b"liandong"])
                if batch.num_rows:
                    return batch.replace_schema_metadata(None)
        except StopIteration:
            if not isinstance(self.described.get("coverage"), dict):
                raise BrokenAnswer("The answer ended before it said which sources it rests on: rows may be missing.") from None
            return None
        except (pa.ArrowException, OSError, httpx.RequestError) as error:
            raise BrokenAnswer(f"The answer broke off: {error}") from error

    @property
    def coverage(self) -> Coverage:
        return Coverage.of(self.described["coverage"])


class Batches:
    """Rows as Arrow batches, in bounded memory; iterate over it once. `coverage` is known at the end."""

    def __init__(self, opened: Callable[[], httpx.Response]) -> None:
        self._opened = opened
        self.coverage: Coverage | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        response = self._opened()
        try:
            pieces = response.iter_bytes()
            reading = Reading(arriving(lambda: next(pieces, b"")))
            while (batch := reading.batch()) is not None:
                yield batch
            self.coverage = reading.coverage
            self.coverage.warn()
        finally:
            response.close()


class AsyncBatches:
    """The same for `async for`; batches are read in a thread while the loop goes on."""

    def __init__(self, opened: Callable[[], Awaitable[httpx.Response]]) -> None:
        self._opened = opened
        self.coverage: Coverage | None = None

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        response, loop = await self._opened(), asyncio.get_running_loop()
        try:
            pieces = response.aiter_bytes()

            async def piece() -> bytes:
                return await anext(pieces, b"")

            reading = await asyncio.to_thread(Reading, arriving(lambda: asyncio.run_coroutine_threadsafe(piece(), loop).result()))
            while (batch := await asyncio.to_thread(reading.batch)) is not None:
                yield batch
            self.coverage = reading.coverage
            self.coverage.warn()
        finally:
            await response.aclose()
