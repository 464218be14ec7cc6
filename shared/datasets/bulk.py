"""Rows straight from PostgreSQL's binary COPY as Arrow batches, each stream on a database connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog

from shared.config import Settings
from shared.database import libpq_url
from shared.errors import Problem, TooMany, Unavailable
from shared.problems import QueryTooSlow

BATCH_BYTES = 1024 * 1024
"""About how much the database's rows are gathered into one batch."""
_BATCH_OPTION = "adbc.postgresql.batch_size_hint_bytes"
_log = structlog.get_logger("bulk")
Found = TypeVar("Found")


class BulkReader:
    """Runs statements of the reader role, a bounded number at once; one for a whole process, closed by `aclose`.

    The driver's library is loaded with the first stream: idle services stay small.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.free = settings.streams_at_once
        """How many more streams may begin."""
        self._places = asyncio.Semaphore(settings.streams_at_once)
        self._database: Any = None
        self._opening = asyncio.Lock()

    async def aclose(self) -> None:
        if self._database is not None:
            self._database.close()

    @asynccontextmanager
    async def admitted(self, patience_s: float = 0.0) -> AsyncIterator[None]:
        """A place among the streams of this process, or `TooMany` if none became free in this time."""
        try:
            async with asyncio.timeout(patience_s):
                await self._places.acquire()
        except TimeoutError:
            raise TooMany(f"{self._settings.streams_at_once} streams are under way; no more are given at once.", headers={"Retry-After": "5"}) from None
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1
            self._places.release()

    @asynccontextmanager
    async def reading(self, statement: str) -> AsyncIterator[AsyncIterator[Any]]:
        """The batches (`pyarrow.RecordBatch`) of one SELECT, as the database names and types its columns.

        Its transaction is a snapshot, and ends with this context, wherever the rows stand.
        """
        threads = ThreadPoolExecutor(1, "stream")
        loop = asyncio.get_running_loop()

        async def there(work: Callable[[], Found]) -> Found:
            """In the stream's own thread, one thing after the other; whoever stops waiting leaves it to end by itself."""
            future = loop.run_in_executor(threads, work)
            future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # nobody may be left who waits for it
            return await asyncio.shield(future)

        copy = _Copy(await self._opened(), statement)
        batches = _batches(there, copy)
        try:
            try:
                await there(copy.begin)
            except Exception as error:
                raise _problem(error) from error
            yield batches
        finally:
            await batches.aclose()
            await asyncio.shield(self._ended(copy, there, threads))

    async def _ended(self, copy: _Copy, there: Callable[[Callable[[], None]], Any], threads: ThreadPoolExecutor) -> None:
        await asyncio.to_thread(copy.cancel)
        await there(copy.end)
        threads.shutdown(wait=False)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._database is None:
                self._database = await asyncio.to_thread(_connect, self._settings)
        return self._database


class _Copy:
    """One statement on one connection; all but `cancel` in one thread."""

    def __init__(self, database: Any, statement: str) -> None:
        self._database, self._text = database, statement
        self._parts: list[Any] = []
        self._statement: Any = None
        self._done = False

    def begin(self) -> None:
        import adbc_driver_manager
        import pyarrow as pa

        connection = adbc_driver_manager.AdbcConnection(self._database)
        self._parts.append(connection)
        statement = adbc_driver_manager.AdbcStatement(connection)
        self._parts.append(statement)
        statement.set_options(**{_BATCH_OPTION: str(BATCH_BYTES)})
        statement.set_sql_query(self._text)
        self._statement = statement
        stream, _ = statement.execute_query()
        self._reader = pa.RecordBatchReader.from_stream(stream)
        self._parts.append(self._reader)

    def next(self) -> Any:
        """The next batch, or None at the end."""
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self._done = True
            return None

    def cancel(self) -> None:
        if self._statement is not None and not self._done:
            try:
                self._statement.cancel()
            except Exception as error:  # noqa: BLE001  # the connection may be gone already; closing it ends the statement too
                _log.info("a stream's statement could not be cancelled", error=str(error)[:200])

    def end(self) -> None:
        for part in reversed(self._parts):
            try:
                part.close()
            except Exception as error:  # noqa: BLE001  # what cannot be closed is broken, and the rest must be closed
                _log.info("a stream's connection did not close well", error=str(error)[:200])


async def _batches(there: Callable[[Callable[[], Any]], Any], copy: _Copy) -> AsyncGenerator[Any]:
    """One batch is read ahead while the last one is on its way."""
    ahead = asyncio.ensure_future(there(copy.next))
    try:
        while True:
            try:
                batch = await ahead
            except Exception as error:
                raise _problem(error) from error
            if batch is None:
                return
            ahead = asyncio.ensure_future(there(copy.next))
            yield batch
    finally:
        if ahead.done() and not ahead.cancelled():
            ahead.exception()  # nobody waits for it any more
        ahead.cancel()


def _connect(settings: Settings) -> Any:
    import adbc_driver_postgresql

    limit = f"-c statement_timeout={int(settings.stream_timeout_s * 1000)} -c timezone=UTC -c default_transaction_read_only=on"
    url = libpq_url(settings.reader_url.get_secret_value(), application_name=f"{settings.audience} streams", options=limit, connect_timeout="5")
    try:
        return adbc_driver_postgresql.connect(url)
    except Exception as error:
        raise _problem(error) from error


def _problem(error: Exception) -> Problem:
    """What the driver says, as a problem of ours; its own words stay in the log."""
    if isinstance(error, Problem):
        return error
    said = str(error)
    if "statement timeout" in said:
        return QueryTooSlow("The database stopped the stream at its time limit.")
    state = getattr(error, "sqlstate", None)
    _log.warning("a stream failed in the database", error=said[:500], sqlstate=state)
    if state is None or state[:2] in ("08", "53", "57", "00"):
        return Unavailable("The database does not answer, broke off or is busy.")
    return Problem("Something failed that should not have. The request id leads the operator to the cause.")
