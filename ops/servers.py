"""The PostgreSQL and the Redis of a place: our own on free loopback ports that stay the same, or the user's."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ops.launching import LaunchError, free_port
from ops.place import Place
from ops.postgres import SUPERUSER, Postgres, local_postgres
from ops.redis import ADMIN, Redis
from ops.redis_users import access_lines, service_users, user_names
from ops.secretfiles import kept_passwords, private_folder, write_private, write_private_json
from ops.services import present


@dataclass(frozen=True, slots=True)
class Servers:
    """What a city stands on. `postgres` and `redis` are None where the user named a server of their own."""

    postgres: Postgres | None
    redis: Redis | None
    postgres_url: str
    redis_url: str


def servers_of(place: Place, *, choose_ports: bool = False) -> Servers:
    """The servers of a place. `choose_ports` (only while none of them runs) replaces ports that somebody else took meanwhile."""
    ports = _ports(place, choose_ports)
    postgres = redis = None
    if place.postgres_url is None:
        file = place.secrets / "postgres.json"
        lost = not file.exists()
        postgres = local_postgres(place.var / "pg", ports["postgres"], kept_passwords(file, [SUPERUSER])[SUPERUSER])
        if lost and (postgres.data / "PG_VERSION").exists():
            file.unlink()
            raise LaunchError(f"The passwords of the databases in {postgres.data} are gone. Restore {file}, or remove {place.var} and begin anew.")
    if place.redis_url is None:
        password = kept_passwords(place.secrets / "redis.json", [ADMIN])[ADMIN]
        redis = Redis(place.var / "redis", ports["redis"], password, place.secrets / "redis.acl", {})
    return Servers(
        postgres,
        redis,
        postgres.url() if postgres else place.postgres_url or "",
        redis.url() if redis else place.redis_url or "",
    )


def write_users(place: Place, redis: Redis) -> None:
    """Write the file with the users of our own Redis, which it reads when it starts."""
    services = present()
    passwords = kept_passwords(place.secrets / "redis.json", user_names(services, place.city))
    write_private(redis.access_file, access_lines(redis.password, service_users(services, place.city, passwords)))


def _ports(place: Place, choose: bool) -> dict[str, int]:
    path = place.var / "ports.json"
    known: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not choose:
        return {"postgres": 0, "redis": 0} | known
    chosen = {name: free_port(known.get(name)) for name in ("postgres", "redis")}
    if chosen != known:
        private_folder(place.var)
        write_private_json(path, chosen)
    return chosen
