"""What each service is told when it starts: the content of the file that `LIANDONG_CONFIG` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from ops.provision import role, role_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a city's services find each other and what they stand on."""

    city: str
    services: Sequence[str]
    address: Callable[[str], str]
    """Base address of a service."""
    database: Callable[[str], str]
    """An address on the PostgreSQL server of a service; its credentials are not used."""
    redis: str
    """An address of the Redis; its credentials are not used."""
    cache: Callable[[str], Path]
    signing_keys: Path
    clients_file: Path


def service_settings(
    around: Surroundings, service: str, passwords: Mapping[str, str], redis_passwords: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """The settings of one service. The owner's password is not among them, since only migrations need it.

    `passwords` by database role, `redis_passwords` by Redis user, `secrets` by client.
    """
    told = {
        "service": service,
        "city": around.city,
        "services": list(around.services),
        "database_url": role_url(around.database(service), service, "app", passwords[role(service, "app")]),
        "reader_url": role_url(around.database(service), service, "reader", passwords[role(service, "reader")]),
        "redis_publish_url": _as_user(around.redis, f"{service}-publish", redis_passwords),
        "redis_consume_url": _as_user(around.redis, f"{service}-consume", redis_passwords),
        "hub_url": around.address("hub"),
        "issuer": around.address("hub"),
        "cache_dir": str(around.cache(service)),
        "addresses": {name: around.address(name) for name in around.services if name not in (service, "hub")},
    }
    if secret := secrets.get(f"{service}-service"):
        told["client_secret"] = secret
    if service != "hub":
        return told
    return told | {
        "signing_keys": str(around.signing_keys),
        "sources": {f"{around.city}/{name}": around.address(name) for name in around.services if name != "hub"},
        "clients_file": str(around.clients_file),
    }


def _as_user(url: str, user: str, passwords: Mapping[str, str]) -> str:
    return make_url(url).set(username=user, password=passwords[user]).render_as_string(hide_password=False)
