"""A city for tests: real PostgreSQL and Redis, a fresh database per service and test, tokens of a test issuer."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import redis as redis_client

from ops import provision
from ops.launching import Launch, free_port
from ops.migrate import build
from ops.postgres import SUPERUSER, UNSAFE_BUT_FAST, local_postgres
from ops.redis import Redis
from ops.redis_users import RedisUser, access_lines, service_users
from ops.secretfiles import private_folder, write_private, write_private_json
from ops.services import declared
from shared.config import Settings
from shared.service import Service
from shared.streams import acl_rules
from shared.testing import Issuer

REDIS_DATABASES = 512
QUICK = 1
"""Rounds of hashing in a password of tests: the thousands of connections of a run would spend minutes on what makes real ones hard to guess."""
CITY = "430300"


class LocalServer:
    """A server process that a test may stop, kill and start again."""

    def __init__(self, launch: Callable[[], Launch], ready: Callable[[], bool], log: Path) -> None:
        self._launch, self._ready, self._log = launch, ready, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, patience_s: float = 20) -> None:
        launch = self._launch()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(launch.command(), stdout=log, stderr=log, start_new_session=True)
        self._stop_with = launch.stop_with
        end = time.monotonic() + patience_s
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{launch.name} does not start: {self._log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(self._stop_with)
            self.process.wait(20)
            self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None


class City:
    """Made once per session by the fixture `city`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = Issuer()
        self._numbers = itertools.count(1)
        self._templates: dict[Any, tuple[str, Service]] = {}
        self._redis_users: dict[tuple[str, str], list[RedisUser]] = {}
        self._databases: list[str] = []
        self._redis_database = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="city", daemon=True).start()
        self._pg = local_postgres(folder / "pg", free_port(), "superuser-of-tests", UNSAFE_BUT_FAST)
        self._redis = Redis(folder / "redis", free_port(), "admin-of-tests", folder / "redis.acl", {"databases": str(REDIS_DATABASES)})
        self.postgres = LocalServer(self._pg.launch, self._pg.ready, folder / "postgres.log")
        self.redis = LocalServer(self._launch_redis, self._redis_ready, folder / "redis.log")
        self._admin: asyncpg.Connection | None = None
        self.postgres.start()
        self.redis.start()
        self._run(self._hurry())

    @property
    def postgres_url(self) -> str:
        """The superuser's address."""
        return self._pg.url()

    def settings(self, service: str | Service, *, ddl: Sequence[str] = (), **overrides: Any) -> Settings:
        """Settings with a fresh database and Redis users of its own.

        `service` is the name of a real service, or a declaration made in the test: then its tables are created from its
        metadata after the core migrations, and `ddl` (triggers and the like) runs after that, all as the owner.
        Services of one test share a Redis database; other tests do not see it. Any setting can be overridden: `city="430100"` is a second city.
        """
        name = service if isinstance(service, str) else service.name
        number = next(self._numbers)
        database = f"{name}_{number}"
        self._run(self._clone(service, database, tuple(ddl)))
        self._databases.append(database)
        cache = self.folder / "cache" / database
        cache.mkdir(parents=True)
        write_private_json(cache / "trust.json", self.issuer.trust())
        if name == "hub":
            write_private_json(private_folder(cache / "signing") / f"{self.issuer.key.kid}.jwk", self.issuer.signing_key())
        at = str(overrides.get("city", CITY))
        self._allow_redis(name, at)
        values: dict[str, Any] = {
            "service": name,
            "city": at,
            "database_url": self._url(name, "app", database),
            "reader_url": self._url(name, "reader", database),
            "owner_url": self._url(name, "owner", database),
            "redis_publish_url": self._redis_url(_user(f"{name}-publish", at)),
            "redis_consume_url": self._redis_url(_user(f"{name}-consume", at)),
            "hub_url": self.issuer.url,
            "issuer": self.issuer.url,
            "cache_dir": cache,
            "signing_keys": cache / "signing",
        }
        return Settings(**(values | overrides))

    def token(self, service: str, *, scope: str, **claims: Any) -> str:
        """A token for a service; see `Issuer.token` for areas, clearance, subject and the rest."""
        return self.issuer.token(f"{CITY}/{service}", scope=scope, **claims)

    def headers(self, service: str, *, scope: str, **claims: Any) -> dict[str, str]:
        """The `Authorization` header with such a token."""
        return {"Authorization": f"Bearer {self.token(service, scope=scope, **claims)}"}

    def redis_admin(self) -> redis_client.Redis:
        """An all-powerful Redis connection on the database of the current test."""
        return redis_client.Redis.from_url(self._redis_url("admin", "admin-of-tests"), decode_responses=True)

    def sql(self, settings: Settings, statement: str, *arguments: Any, role: str = "owner") -> list[asyncpg.Record]:
        """Run a statement in a service's database as its owner, app or reader."""
        url = {"owner": settings.owner_url, "app": settings.database_url, "reader": settings.reader_url}[role]
        assert url is not None
        found: list[asyncpg.Record] = self._run(_fetch(url.get_secret_value(), statement, arguments))
        return found

    def mark(self) -> int:
        return len(self._databases)

    def forget(self, mark: int) -> None:
        """Drop the databases made since `mark` and let the next test begin with an empty Redis."""
        dropped, self._databases[mark:] = self._databases[mark:], []
        if dropped and self.postgres.process is not None:
            self._run(self._drop(dropped))
        self._redis_database = (self._redis_database + 1) % REDIS_DATABASES
        if self.redis.process is not None:
            with suppress(redis_client.RedisError), self.redis_admin() as admin:
                admin.flushdb()

    def close(self) -> None:
        self.redis.kill()
        if self._admin is not None:
            self._loop.call_soon_threadsafe(self._admin.terminate)
        self.postgres.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _clone(self, service: str | Service, database: str, ddl: tuple[str, ...]) -> None:
        declaration = declared(service) if isinstance(service, str) else service
        key = service if isinstance(service, str) else _made_of(service, ddl)
        admin = await self._administrator()
        if key not in self._templates:
            template = f"template_{declaration.name}_{len(self._templates)}"
            await self._make_template(admin, declaration, template, None if isinstance(service, str) else ddl)
            self._templates[key] = template, declaration
        template = self._templates[key][0]
        owner = provision.role(declaration.name, "owner")
        await admin.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" OWNER "{owner}" STRATEGY file_copy')  # half the time of the default
        await provision.open_database(admin, database, declaration.name)

    async def _administrator(self) -> asyncpg.Connection:
        """The superuser's connection, made anew if the server was away."""
        if self._admin is None or self._admin.is_closed():
            self._admin = await asyncpg.connect(self._pg.url(), timeout=10)
        return self._admin

    async def _hurry(self) -> None:
        admin = await self._administrator()
        await admin.execute(f"ALTER ROLE \"{SUPERUSER}\" PASSWORD '{provision.scram_verifier(self._pg.password, QUICK)}'")

    async def _make_template(self, admin: asyncpg.Connection, service: Service, template: str, ddl: tuple[str, ...] | None) -> None:
        names = provision.role_names([service.name])
        await provision.make_roles(admin, names, {name: name for name in names}, QUICK)
        await admin.execute(f'CREATE DATABASE "{template}" OWNER "{provision.role(service.name, "owner")}"')
        url = self._url(service.name, "owner", template)
        await provision.set_schema_rules(url, service.name)
        await build(service, url, from_models=ddl is not None, ddl=ddl or ())

    async def _drop(self, databases: Sequence[str]) -> None:
        admin = await self._administrator()
        for database in databases:
            await admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _url(self, service: str, kind: str, database: str) -> str:
        return provision.role_url(self._pg.url(), service, kind, provision.role(service, kind), database)

    def _redis_url(self, user: str, password: str | None = None) -> str:
        return f"redis://{user}:{password or user}@127.0.0.1:{self._redis.port}/{self._redis_database}"

    def _redis_ready(self) -> bool:
        try:
            with self.redis_admin() as admin:
                return bool(admin.ping())
        except redis_client.RedisError:
            return False

    def _launch_redis(self) -> Launch:
        users = [user for known in self._redis_users.values() for user in known]
        write_private(self._redis.access_file, access_lines(self._redis.password, users))
        return self._redis.launch()

    def _allow_redis(self, service: str, at: str) -> None:
        if (service, at) in self._redis_users:
            return
        users = service_users([service], at, {name: _user(name, at) for name in acl_rules(service, at)})
        self._redis_users[service, at] = [RedisUser(_user(user.name, at), user.password, (*user.rights, "+select")) for user in users]
        with self.redis_admin() as admin:
            for user in self._redis_users[service, at]:
                admin.execute_command("ACL", "SETUSER", user.name, *user.rules())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def _made_of(service: Service, ddl: tuple[str, ...]) -> tuple[Any, ...]:
    """What a declaration's database follows from: declarations that differ in nothing else share a template."""
    shown = {table.name for dataset in service.datasets for table in (dataset.table, *(join.table for join in dataset.joins))}
    return service.name, id(service.metadata), tuple(service.metadata.tables), service.series, frozenset(shown), ddl


def _user(name: str, at: str) -> str:
    """The Redis user of a service in a city; one of another city than the usual one bears its code."""
    return name if at == CITY else f"{at}-{name}"


async def _fetch(url: str, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
    async with provision.connection(url) as connection:
        return list(await connection.fetch(statement, *arguments))
