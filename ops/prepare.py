"""Makes a city ready for its services: roles, databases, revisions, Redis users, clients, settings (run by the supervisor)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import redis
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ops.migrate import migrate_all
from ops.place import Place
from ops.provision import provision, role, role_names, role_url
from ops.redis_users import RedisUser, service_users, user_names
from ops.secretfiles import kept_passwords, private_folder, write_private_json
from ops.servers import Servers, servers_of
from ops.services import declared, present
from services.hub.access.clients_file import default_clients


def prepare(place: Place) -> None:
    """Bring everything that the services stand on into the state that this version needs. Repeatable."""
    services, servers = present(), servers_of(place)
    passwords = kept_passwords(place.secrets / "postgres.json", role_names(services))
    asyncio.run(provision(servers.postgres_url, services, passwords))
    asyncio.run(migrate_all({name: role_url(servers.postgres_url, name, "owner", passwords[role(name, "owner")]) for name in services}))
    redis_passwords = kept_passwords(place.secrets / "redis.json", user_names(services, place.city))
    if servers.redis is None:
        _set_redis_users(servers.redis_url, service_users(services, place.city, redis_passwords))
    secrets = _keep_clients(place, services)
    private_folder(place.var / "config")
    for service in services:
        private_folder(place.cache(service))
        write_private_json(place.config_file(service), _config(place, service, servers, passwords, redis_passwords, secrets))


def _config(
    place: Place, service: str, servers: Servers, passwords: Mapping[str, str], redis_passwords: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """What a service is told; the owner's password is not among it, since only migrations need it."""
    common = {
        "service": service,
        "city": place.city,
        "database_url": role_url(servers.postgres_url, service, "app", passwords[role(service, "app")]),
        "reader_url": role_url(servers.postgres_url, service, "reader", passwords[role(service, "reader")]),
        "redis_publish_url": _as_user(servers.redis_url, f"{service}-publish", redis_passwords),
        "redis_consume_url": _as_user(servers.redis_url, f"{service}-consume", redis_passwords),
        "hub_url": place.url("hub"),
        "issuer": place.url("hub"),
        "cache_dir": str(place.cache(service)),
        "addresses": {name: place.url(name) for name in present() if name not in (service, "hub")},
    }
    if secret := secrets.get(f"{service}-service"):
        common["client_secret"] = secret
    if service != "hub":
        return common
    return common | {
        "signing_keys": str(place.signing_keys),
        "sources": {f"{place.city}/{name}": place.url(name) for name in present() if name != "hub"},
        "clients_file": str(place.clients_file),
    }


def _as_user(admin_url: str, user: str, passwords: Mapping[str, str]) -> str:
    return make_url(admin_url).set(username=user, password=passwords[user]).render_as_string(hide_password=False)


def _set_redis_users(admin_url: str, users: Sequence[RedisUser]) -> None:
    """Make or mend the users on a server of the user's own, and keep them there if it has an ACL file."""
    with redis.Redis.from_url(admin_url) as admin:
        for user in users:
            admin.execute_command("ACL", "SETUSER", user.name, *user.rules())
        try:
            admin.execute_command("ACL", "SAVE")
        except redis.ResponseError:
            sys.stderr.write("The Redis server has no ACL file, so its users last until it restarts; the next start makes them again.\n")


def _keep_clients(place: Place, services: Sequence[str]) -> dict[str, str]:
    """Add the machine clients that are not in the file yet; those that are keep their secrets. The secret of each."""
    known: list[dict[str, Any]] = json.loads(place.clients_file.read_text(encoding="utf-8")) if place.clients_file.exists() else []
    names = {client["id"] for client in known}
    missing = [client for client in default_clients(place.city, {name: declared(name).asks for name in services}) if client["id"] not in names]
    if missing:
        write_private_json(place.clients_file, [*known, *missing])
    return {client["id"]: client["secret"] for client in [*known, *missing]}


if __name__ == "__main__":
    try:
        prepare(Place.from_environment())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, redis.RedisError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
