"""Makes a city ready for its services: roles, databases, revisions, Redis users, clients, settings (run by the supervisor)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import asyncpg
import redis
from sqlalchemy.exc import SQLAlchemyError

from ops.clients import kept_clients
from ops.migrate import migrate_all
from ops.place import Place
from ops.provision import provision, role, role_names, role_url
from ops.redis_users import RedisUser, service_users, user_names
from ops.secretfiles import kept_passwords, private_folder, write_private_json
from ops.servers import Servers, servers_of
from ops.service_settings import Surroundings, service_settings
from ops.services import present


def prepare(place: Place) -> None:
    """Bring everything that the services stand on into the state that this version needs. Repeatable."""
    services, servers = present(), servers_of(place)
    passwords = kept_passwords(place.secrets / "postgres.json", role_names(services))
    asyncio.run(provision(servers.postgres_url, services, passwords))
    asyncio.run(migrate_all({name: role_url(servers.postgres_url, name, "owner", passwords[role(name, "owner")]) for name in services}))
    redis_passwords = kept_passwords(place.secrets / "redis.json", user_names(services, place.city))
    if servers.redis is None:
        _set_redis_users(servers.redis_url, service_users(services, place.city, redis_passwords))
    secrets = kept_clients(place.clients_file, place.city, services)
    private_folder(place.var / "config")
    around = _surroundings(place, services, servers)
    for service in services:
        private_folder(place.cache(service))
        write_private_json(place.config_file(service), service_settings(around, service, passwords, redis_passwords, secrets))


def _surroundings(place: Place, services: Sequence[str], servers: Servers) -> Surroundings:
    return Surroundings(
        city=place.city,
        services=services,
        address=place.url,
        database=lambda _: servers.postgres_url,
        redis=servers.redis_url,
        cache=place.cache,
        signing_keys=place.signing_keys,
        clients_file=place.clients_file,
    )


def _set_redis_users(admin_url: str, users: Sequence[RedisUser]) -> None:
    """Make or mend the users on a server of the user's own, and keep them there if it has an ACL file."""
    with redis.Redis.from_url(admin_url) as admin:
        for user in users:
            admin.execute_command("ACL", "SETUSER", user.name, *user.rules())
        try:
            admin.execute_command("ACL", "SAVE")
        except redis.ResponseError:
            sys.stderr.write("The Redis server has no ACL file, so its users last until it restarts; the next start makes them again.\n")


if __name__ == "__main__":
    try:
        prepare(Place.from_environment())
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError, redis.RedisError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
