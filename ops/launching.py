"""How a child process is started: with its parent's life as the bound of its own, and not as root where the program refuses that."""

from __future__ import annotations

import os
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

CHILD = [sys.executable, "-I", "-S", str(Path(__file__).with_name("child.py"))]
UNPRIVILEGED_NAMES = ("postgres", "nobody")


class LaunchError(Exception):
    """Something a person can mend keeps the city from starting; the message says what and how."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A program to start, and how to ask it to end."""

    name: str
    program: Sequence[str]
    stop_with: signal.Signals = signal.SIGTERM
    identity: tuple[str, ...] = ()
    """Options of `child.py` that change who the program runs as."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Variables to set, beyond those of this process."""
    without: Container[str] = ()
    """Variables of this process that the program must not see."""
    folder: Path | None = None

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in self.without} | dict(self.settings)

    def command(self) -> list[str]:
        """The full command; it must be started by the process that calls this."""
        return [*CHILD, "--parent", str(os.getpid()), "--signal", str(int(self.stop_with)), *self.identity, "--", *self.program]


def run_as(identity: Sequence[str], program: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end under an identity."""
    return subprocess.run([*CHILD, *identity, "--", *program], capture_output=True, text=True, check=False)


@cache
def unprivileged_identity() -> tuple[str, ...]:
    """Options of `child.py` for a program that refuses root: none for an ordinary user.

    As root a user namespace is best, because the program then still reaches its files in a closed home;
    where the machine forbids namespaces (some containers), another user.
    """
    if os.geteuid() != 0:
        return ()
    entry = _unprivileged_user()
    mapped = ("--map", f"{entry.pw_uid}:{entry.pw_gid}")
    if sys.platform == "linux" and run_as(mapped, ["true"]).returncode == 0:
        return mapped
    return ("--as", f"{entry.pw_uid}:{entry.pw_gid}")


def give_to(identity: Sequence[str], *paths: Path) -> None:
    """Make the user of an identity the owner of files; a namespace needs no change."""
    if identity[:1] == ("--as",):
        uid, gid = (int(part) for part in identity[1].split(":"))
        for path in paths:
            os.chown(path, uid, gid)


def may_enter(identity: Sequence[str], folder: Path) -> bool:
    """Whether an identity reaches what lies in a folder."""
    return run_as(identity, ["test", "-x", str(folder)]).returncode == 0


def _unprivileged_user() -> pwd.struct_passwd:
    for name in UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    return next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)


BELOW_CLIENTS = range(10_240, 20_000)


def free_port(preferred: int | None = None) -> int:
    """A loopback port that nobody listens on now: the preferred one if it is free.

    Others lie below the range from which the kernel gives ports to clients, or one of those might take it before it is listened on.
    """
    for wanted in (*([preferred] if preferred else ()), *random.sample(BELOW_CLIENTS, 100), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            return port
    raise LaunchError("No loopback port is free on this machine.")
