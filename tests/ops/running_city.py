"""A whole city as a user starts it: `liandong up` in a folder and at ports of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from ops.services import PORT_OFFSETS, ROOT

PATIENCE_S = 180
BASES = range(20_000, 30_000, 10)
_GIVEN: set[int] = set()


class RunningCity:
    """One `VAR_DIR` and the supervisor that runs in it, if any."""

    def __init__(self, folder: Path, port_base: int, *, demo: str = "off", **settings: str) -> None:
        self.var, self.port_base, self.settings = folder / "var", port_base, {"DEMO": demo, **settings}
        self.output = folder / "output.txt"
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.seconds_to_ready = 0.0

    def environment(self, **changes: str) -> dict[str, str]:
        return {**os.environ, "VAR_DIR": str(self.var), "PORT_BASE": str(self.port_base), **self.settings, **changes}

    def command(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`liandong …` about this city, run to its end."""
        command = [sys.executable, "-m", "ops.cli", *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment(**changes), capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    def start(self, **changes: str) -> None:
        began = time.monotonic()
        with self.output.open("ab") as output:
            ends_with_us = [
                sys.executable,
                "-I",
                "-S",
                str(ROOT / "ops" / "child.py"),
                "--parent",
                str(os.getpid()),
                "--signal",
                str(int(signal.SIGTERM)),
                "--",
            ]
            command = [*ends_with_us, sys.executable, "-m", "ops.cli", "up"]
            self.supervisor = subprocess.Popen(command, cwd=ROOT, env=self.environment(**changes), stdout=output, stderr=output, start_new_session=True)
        while not self._has_written_run_file():
            if self.supervisor.poll() is not None or time.monotonic() - began > PATIENCE_S:
                self.close()  # nobody else will: whoever asked for it has got no city
                raise RuntimeError(f"the city does not start:\n{self.output.read_text(encoding='utf-8')[-4000:]}")
            time.sleep(0.05)
        self.seconds_to_ready = time.monotonic() - began

    def run_file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.var / "run.json").read_text(encoding="utf-8"))
        return found

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        assert self.supervisor is not None
        top = psutil.Process(self.supervisor.pid)
        return [top, *top.children(recursive=True)]

    def signal(self, number: signal.Signals) -> None:
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        self.supervisor.wait(PATIENCE_S)

    def close(self) -> None:
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.signal(signal.SIGTERM)

    def _has_written_run_file(self) -> bool:
        try:
            return bool(self.supervisor and self.run_file()["pid"] == self.supervisor.pid)
        except (OSError, ValueError):
            return False


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a dead one that nobody has reaped yet does not."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def free_port_base() -> int:
    """A base from which every port of a city is free, away from the ports that the kernel gives to clients.

    Nobody else is given the same: a city listens seconds after it was told where. Each worker has a share of the bases, and gives none twice.
    """
    used: set[int] = {found.laddr.port for found in psutil.net_connections("tcp") if found.laddr} | _GIVEN
    many, own = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = BASES[own % many :: many]
    first = os.getppid() % len(mine)  # another run on this machine begins elsewhere
    base: int = next(base for base in (*mine[first:], *mine[:first]) if not used & set(range(base, base + len(PORT_OFFSETS))))
    _GIVEN.add(base)
    return base
