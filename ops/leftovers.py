"""Which processes a city has started, so that the next start finds those that an unclean end left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from ops.secretfiles import write_private_json

SAME_START_S = 0.5


class Ledger:
    """Pid and start time of every child, in a file; together they name one process for ever."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[str, tuple[int, float]] = {}

    def enter(self, name: str, pid: int) -> None:
        self._entries.pop(name, None)
        with suppress(psutil.Error):
            self._entries[name] = pid, psutil.Process(pid).create_time()
        self._write()

    def strike(self, name: str) -> None:
        if self._entries.pop(name, None) is not None:
            self._write()

    def _write(self) -> None:
        with suppress(OSError):  # a full disk must not keep a child from being watched; the kernel still ends it with us
            write_private_json(self._path, self._entries)

    def alive(self) -> dict[str, psutil.Process]:
        """Children of an earlier run that still live. A pid that now belongs to another process is not among them."""
        try:
            known = [(name, int(pid), float(started)) for name, (pid, started) in json.loads(self._path.read_text(encoding="utf-8")).items()]
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        found = {}
        for name, pid, started in known:
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - started) < SAME_START_S and process.status() != psutil.STATUS_ZOMBIE:
                    found[name] = process
            except psutil.Error:
                continue
        return found


def end_all(processes: Sequence[psutil.Process], patience_s: float = 5.0) -> None:
    """Ask processes to end (PostgreSQL: fast shutdown), wait, and kill what remains."""
    for process in processes:
        try:
            process.resume()
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
        except psutil.Error:
            continue
    _, living = psutil.wait_procs(processes, timeout=patience_s)
    for process in living:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(living, timeout=patience_s)
