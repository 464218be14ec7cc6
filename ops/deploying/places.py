"""Where things are in the containers of `compose.yaml`: names of files, addresses, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.service_settings import Surroundings

SECRETS = Path("/run/secrets")
STATE = Path("/var/lib/liandong")
"""A volume of each service's own."""
PORT = 8000
SUPERUSER = "postgres"


def database_host(service: str) -> str:
    return f"postgres-{service}"


def admin_url(service: str, password: str) -> str:
    """The administrator's address of a service's own PostgreSQL."""
    return f"postgresql://{SUPERUSER}:{password}@{database_host(service)}:5432/postgres"


def surroundings(city: str, services: Sequence[str]) -> Surroundings:
    """As the services see it: each container by its name."""
    return Surroundings(
        city=city,
        services=services,
        address=lambda name: f"http://{name}:{PORT}",
        database=lambda name: f"postgresql://{database_host(name)}:5432/postgres",
        redis="redis://valkey:6379/0",
        cache=lambda _: STATE / "cache",
        signing_keys=STATE / "signing-keys",
        clients_file=SECRETS / "clients",
    )
