"""Processes that compute statements, and how many at a time: started when first needed, ended when long unused."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from services.hub.sql.problems import SqlBusy, SqlTooLarge, SqlUnavailable

SCRIPT = Path(__file__).with_name("worker.py")
IDLE_S = 600.0
"""After so long without a statement the processes end, and their memory is free."""
START_S = 20.0
_WATCH_S = 0.25
MOST_FRAME = 32 * 2**20
"""Bytes; the process sends less at a time."""
WAY_BYTES = 2**20
"""Bytes that may be on their way into a process, as far as the system allows."""
READERS = 2
"""Statements read and planned at once: they need the interpreter for up to two seconds, and leave the threads that others need alone."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much statements may take."""

    memory_mb: int = 512
    threads: int = 2
    heavy: int = 4
    """Most heavy statements at the same time,"""
    light: int = 4
    """and most of those that only finish what the sources computed."""
    patience_s: float = 0.5
    """How long a heavy statement waits for a place before it is told to come again; a light one four times as long."""


@dataclass
class Job:
    """One statement in its process."""

    talk: socket.socket
    scans: list[socket.socket]
    pid: int | None = None
    overgrown: bool = False
    frames: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def frame(self) -> tuple[str, bytes]:
        """The next frame; `asyncio.IncompleteReadError` if the process ended without saying so."""
        if self.frames is None:
            self.frames = await asyncio.open_connection(sock=self.talk, limit=2**20)
        reader = self.frames[0]
        kind, size = struct.unpack("!cI", await reader.readexactly(5))
        if size > MOST_FRAME:
            raise SqlTooLarge(f"{size} bytes came at once; at most {MOST_FRAME} are read.")
        return kind.decode(), await reader.readexactly(size)


@dataclass
class Workers:
    """The processes of one hub."""

    limits: Limits = field(default_factory=Limits)
    isolation: tuple[str, ...] = ()
    """What the processes are cut off from: `network`, `files`, `user`, `descriptors`."""
    running: set[int] = field(default_factory=set)
    """Processes that compute a statement at the moment."""
    _process: subprocess.Popen[bytes] | None = None
    _control: socket.socket | None = None
    _folder: str | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _taken: Counter[str] = field(default_factory=Counter)
    _places: asyncio.Condition = field(default_factory=asyncio.Condition)
    _ending: asyncio.TimerHandle | None = None
    _warming: set[asyncio.Task[None]] = field(default_factory=set)
    _readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(READERS, "sql"))

    async def read(self, work: Callable[[], Found]) -> Found:
        """What comes of reading a statement, in a thread of those that do nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, copy_context().run, work)

    @asynccontextmanager
    async def place(self, subject: str, *, light: bool) -> AsyncIterator[None]:
        """A place among those that compute; nobody takes the last one who has all others. `SqlBusy` if none is free for a while."""
        most = self.limits.light if light else self.limits.heavy
        lane, own = "light" if light else "heavy", f"{subject} {light}"

        def free() -> bool:
            return self._taken[lane] < most and self._taken[own] < max(1, most - 1)

        try:
            async with asyncio.timeout(self.limits.patience_s * (4 if light else 1)), self._places:
                await self._places.wait_for(free)
                self._taken.update((lane, own))
        except TimeoutError:
            raise SqlBusy(f"At most {most} {lane} statements are computed at once, {max(1, most - 1)} of one asker.") from None
        try:
            yield
        finally:
            self._taken.subtract((lane, own))
            self._taken += Counter()  # forgets who has none
            async with self._places:
                self._places.notify_all()

    def warm(self) -> None:
        """Start what a statement will need while its sources are asked; who then takes it is told if it did not start."""
        starting = asyncio.create_task(self._ready())
        self._warming.add(starting)
        starting.add_done_callback(self._warming.discard)
        starting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

    @asynccontextmanager
    async def job(self, wanted: dict[str, Any], scans: int) -> AsyncIterator[Job]:
        """A process that computes one statement; killed at the end, whatever the end is."""
        await self._ready()
        pairs = [socket.socketpair() for _ in range(1 + scans)]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        job = Job(ours[0], ours[1:])
        watching = None
        try:
            for sock in ours:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WAY_BYTES)
            self._hand_over(theirs)
            content = json.dumps(wanted).encode()
            await asyncio.get_running_loop().sock_sendall(job.talk, struct.pack("!I", len(content)) + content)
            kind, told = await job.frame()
            job.pid = int(told) if kind == "P" else None
            self.running |= {job.pid} if job.pid is not None else set()
            watching = asyncio.create_task(self._watch(job))
            yield job
        except asyncio.IncompleteReadError as error:
            if job.pid is None:
                raise SqlUnavailable("The process that computes statements ended.") from error
            raise
        finally:
            if watching is not None:
                watching.cancel()
            _kill(job.pid)
            self.running -= {job.pid or 0}
            if job.frames is not None:
                job.frames[1].close()
            for sock in (*ours, *theirs):
                sock.close()
            self._end_later()

    def _hand_over(self, sockets: Sequence[socket.socket]) -> None:
        descriptors = array.array("i", [sock.fileno() for sock in sockets])
        assert self._control is not None
        try:
            self._control.sendmsg([b"job"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        except OSError as error:
            self._stop()
            raise SqlUnavailable("The process that computes statements does not take one.") from error
        for sock in sockets:
            sock.close()

    async def _ready(self) -> None:
        async with self._starting:
            if self._process is None or self._process.poll() is not None:
                self._stop()
                await self._start()
            self._end_later()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._folder = tempfile.mkdtemp(prefix="liandong-sql-")
        wanted = {"memory_mb": self.limits.memory_mb, "threads": self.limits.threads, "ready": 2}
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # milliseconds, once; a thread would be the parent that the child outlives
                [sys.executable, "-I", str(SCRIPT), json.dumps(wanted)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env={},
                start_new_session=True,
            )
        finally:
            theirs.close()
        ours.setblocking(False)
        self._control = ours
        try:
            async with asyncio.timeout(START_S):
                told = await asyncio.get_running_loop().sock_recv(ours, 4096)
            self.isolation = tuple(json.loads(told)["isolation"])
        except (TimeoutError, OSError, ValueError) as error:
            self._stop()
            raise SqlUnavailable("The process that computes statements did not start.") from error
        except asyncio.CancelledError:
            self._stop()
            raise

    def _end_later(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.get_running_loop().call_later(IDLE_S, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self.running:
            self._end_later()
        else:
            self._stop()

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def aclose(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        for starting in self._warming:
            starting.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._stop()

    async def _watch(self, job: Job) -> None:
        """Ends a process that grows beyond twice what DuckDB may have."""
        most = (2 * self.limits.memory_mb + 512) * 2**20
        while job.pid is not None:
            await asyncio.sleep(_WATCH_S)
            with contextlib.suppress(OSError, IndexError, ValueError):
                if _resident(job.pid) > most:
                    job.overgrown = True
                    _kill(job.pid)


def _resident(pid: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
