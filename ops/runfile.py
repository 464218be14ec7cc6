"""`run.json`: what runs where, and the credentials, for people and tools of the same user; exists only while the city is ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psutil

from ops.place import Place
from ops.provision import role, role_url
from ops.secretfiles import write_private_json
from ops.servers import Servers

DEMO = "demo"
"""The child that lets a demo city live: none of the services."""


def write_run_file(place: Place, servers: Servers, pid: int, pids: Mapping[str, int]) -> None:
    """Write it at once and whole, mode 0600. `database` is the owner's address, `redis` the administrator's."""
    passwords = json.loads((place.secrets / "postgres.json").read_text(encoding="utf-8"))
    clients = json.loads(place.clients_file.read_text(encoding="utf-8"))
    services = {
        name: {"url": place.url(name), "pid": child, "database": role_url(servers.postgres_url, name, "owner", passwords[role(name, "owner")])}
        for name, child in pids.items()
        if name not in ("postgres", "redis", DEMO)
    }
    write_private_json(
        place.run_file,
        {
            "city": place.city,
            "pid": pid,
            "started": psutil.Process(pid).create_time(),
            "services": services,
            "postgres": {"url": servers.postgres_url, "pid": pids.get("postgres")},
            "redis": servers.redis_url,
            "redis_pid": pids.get("redis"),
            "demo_pid": pids.get(DEMO),
            "log": str(place.log_file),
            "clients": {client["id"]: {"id": client["id"], "secret": client["secret"]} for client in clients},
        },
    )


def read_run_file(place: Place) -> dict[str, Any] | None:
    """The running city of a place, or None; a file that a killed supervisor left behind counts as none."""
    try:
        found: dict[str, Any] = json.loads(place.run_file.read_text(encoding="utf-8"))
        alive = psutil.Process(found["pid"])
        same = abs(alive.create_time() - found["started"]) < 1 and alive.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return found if same else None
