"""One supervised process: started, watched, started again with growing pauses, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ops.journal import Journal
from ops.launching import Launch
from ops.leftovers import Ledger

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
STABLE_AFTER_S = 60.0


def pause_before_restart(restarts: int) -> float:
    """Seconds to wait before the nth restart in a row: 0.2, 0.4, 0.8 … 30."""
    return min(FIRST_PAUSE_S * 2.0 ** min(restarts - 1, 20), LONGEST_PAUSE_S)


def why_it_ended(code: int) -> str:
    """An exit code of `subprocess` in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


@dataclass(eq=False)
class Supervised:
    """A child that must run until it is told to stop."""

    launch: Callable[[], Launch]
    journal: Journal
    ledger: Ledger
    on_restart: Callable[[], Awaitable[None]]
    name: str = ""
    pid: int = 0
    ended: int = 0
    """How often it has ended by itself."""
    stopping: bool = False
    _process: asyncio.subprocess.Process | None = field(default=None, repr=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def start(self) -> None:
        launch = await asyncio.to_thread(self.launch)
        self.name, self._stop_with = launch.name, launch.stop_with
        self._process = await asyncio.create_subprocess_exec(
            *launch.command(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            cwd=launch.folder,
            env=launch.environment(),
        )
        self.pid = self._process.pid
        self._since = time.monotonic()
        self.ledger.enter(self.name, self.pid)

    async def keep_running(self) -> None:
        """Forward its lines; when it ends, say why and start it again."""
        restarts = 0
        while self._process is not None:
            await self._forward(self._process)
            code = await self._process.wait()
            if self.stopping:
                return
            self.ended += 1
            restarts = 1 if time.monotonic() - self._since > STABLE_AFTER_S else restarts + 1
            pause = pause_before_restart(restarts)
            words = self.journal.last_words(self.name) if code > 0 else ""
            self.journal.say(f"{self.name} (pid {self.pid}) {why_it_ended(code)}; starting it again in {pause:g} s{_indented(words)}", "warning")
            await asyncio.sleep(pause)
            if not self.stopping:
                await self._start_again()

    async def _start_again(self) -> None:
        try:
            await self.start()
        except OSError as error:
            self.journal.say(f"{self.name} cannot be started now: {error}", "error")
            return
        self.journal.say(f"{self.name} started again (pid {self.pid})")
        await self.on_restart()

    async def stop(self, patience_s: float) -> None:
        """Ask it to end; kill it when it has not within the patience."""
        self.stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGCONT)
        self._signal(self._stop_with)
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            self.journal.say(f"{self.name} did not end within {patience_s:g} s and is killed", "warning")
            self._signal(signal.SIGKILL)
            await process.wait()
        self.ledger.strike(self.name)

    def kill(self) -> None:
        self.stopping = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    async def _forward(self, process: asyncio.subprocess.Process) -> None:
        """Every line to the journal, however long or broken it is."""
        stream, rest = process.stdout, b""
        assert stream is not None
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.journal.take(self.name, line.decode(errors="replace"))
            if len(rest) > 65536:
                self.journal.take(self.name, rest.decode(errors="replace"))
                rest = b""
        self.journal.take(self.name, rest.decode(errors="replace"))


def _indented(words: str) -> str:
    return "".join(f"\n    {line}" for line in words.splitlines())
