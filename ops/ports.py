"""Whether the ports of a city are free, and who holds them if not."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil

from ops.place import HOST


def holder_of(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
                return f"{psutil.Process(found.pid).name()} (pid {found.pid})" if found.pid else "a process of another user"
    except psutil.Error:
        return "another process"
    return "another process"


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def conflicts(ports: dict[str, int]) -> list[str]:
    """A sentence for every port that somebody else listens on."""
    return [f"Port {port}, which {name} needs, is in use by {holder_of(port)}." for name, port in ports.items() if taken(port)]


def outside_range(ports: Iterable[int]) -> bool:
    return any(not 1 <= port <= 65535 for port in ports)
