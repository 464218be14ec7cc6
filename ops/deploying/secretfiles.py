"""Makes the secrets of a deployment: one file for each container that needs one, mode 0600, nothing in the environment."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from ops.clients import kept_clients
from ops.deploying.places import admin_url, surroundings
from ops.provision import role, role_names
from ops.redis_users import access_lines, service_users, user_names
from ops.secretfiles import kept_passwords, private_folder, write_private, write_private_json
from ops.service_settings import service_settings
from ops.services import present

CITY = re.compile(r"[0-9]{6}")
NOBODY = 10001
"""Who the containers run as if the secrets are made by root: the user of the image, since no container runs as root."""


def write_secrets(folder: Path, city: str) -> list[Path]:
    """Write what `compose.yaml` mounts; what is there keeps its passwords, so it may be repeated. The files, in order.

    `valkey-users.acl` alone may be read by the group as well: it holds digests of 256 random bits, and its container runs as another user.
    """
    if not CITY.fullmatch(city):
        raise ValueError(f"The city is a code of six digits such as 430300, not {city!r}.")
    services = present()
    private_folder(folder)
    kept = folder / "kept"
    superusers = kept_passwords(kept / "superusers.json", services)
    passwords = kept_passwords(kept / "postgres.json", role_names(services))
    redis = kept_passwords(kept / "redis.json", ["admin", *user_names(services, city)])
    clients = kept_clients(folder / "clients.json", city, services)
    around = surroundings(city, services)
    for service in services:
        write_private(folder / f"postgres-{service}.txt", superusers[service])
        own = {kind: passwords[role(service, kind)] for kind in ("owner", "app", "reader")}
        write_private_json(folder / f"prepare-{service}.json", {"admin_url": admin_url(service, superusers[service]), "passwords": own})
        write_private_json(folder / f"{service}.json", service_settings(around, service, passwords, redis, clients))
    users = folder / "valkey-users.acl"
    write_private(users, access_lines(redis["admin"], service_users(services, city, redis)))
    users.chmod(0o640)
    written = sorted(path for path in folder.iterdir() if path.is_file())
    if os.getuid() == 0:
        for path in written:
            os.chown(path, *runs_as())
    return written


def runs_as() -> tuple[int, int]:
    """User and group of the containers: whoever owns the secrets, so that nobody else needs to read them; never root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (NOBODY, NOBODY)


def write_environment(path: Path) -> None:
    """Who the containers run as."""
    user, group = runs_as()
    lines = {"LIANDONG_UID": str(user), "LIANDONG_GID": str(group)}
    known = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines() if "=" in line) if path.exists() else {}
    write_private(path, "".join(f"{name}={value}\n" for name, value in {**known, **lines}.items()))


def read_prepare(path: Path) -> tuple[str, dict[str, str]]:
    """The administrator's address and the passwords of the three roles, from a file made by `write_secrets`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return str(found["admin_url"]), {str(kind): str(password) for kind, password in found["passwords"].items()}
