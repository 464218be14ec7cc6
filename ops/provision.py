"""One database per service, with three roles of least privilege: owner (migrations), app, reader."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import quote, urlsplit

import asyncpg

KINDS = ("owner", "app", "reader")
ROLE_SETTINGS = {
    "reader": {"work_mem": "64MB", "jit": "off", "default_transaction_read_only": "on"},
    "app": {"jit": "off"},
    "owner": {"jit": "off"},
}


def role(service: str, kind: str) -> str:
    return f"{service}_{kind}"


def role_names(services: Sequence[str]) -> list[str]:
    """Every role that the services need."""
    return [role(service, kind) for service in services for kind in KINDS]


def role_url(admin_url: str, service: str, kind: str, password: str, database: str | None = None) -> str:
    """How a role reaches its database on the server that `admin_url` names."""
    server = urlsplit(admin_url)
    query = f"?{server.query}" if server.query else ""
    return f"postgresql://{role(service, kind)}:{quote(password, safe='')}@{server.hostname}:{server.port or 5432}/{database or service}{query}"


async def provision(admin_url: str, services: Sequence[str], passwords: Mapping[str, str]) -> None:
    """Make or mend roles, databases and privileges of all services; what is in order stays as it is."""
    async with connection(admin_url) as admin:
        await make_roles(admin, role_names(services), passwords)
        existing = {row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database")}
        for service in services:
            if service not in existing:
                await admin.execute(f'CREATE DATABASE "{service}" OWNER "{role(service, "owner")}"')
            await open_database(admin, service, service)
        await _close_shared_databases(admin)
    for service in services:
        owner_url = role_url(admin_url, service, "owner", passwords[role(service, "owner")])
        await set_schema_rules(owner_url, service)


async def open_database(admin: asyncpg.Connection, database: str, service: str) -> None:
    """Let the three roles of a service, and nobody else, into a database."""
    await admin.execute(
        f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC;'
        f'GRANT CONNECT ON DATABASE "{database}" TO "{role(service, "app")}", "{role(service, "reader")}";'
        f'GRANT TEMPORARY ON DATABASE "{database}" TO "{role(service, "app")}"'
    )


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    opened = await asyncpg.connect(url, timeout=10)
    try:
        yield opened
    finally:
        await opened.close()


ITERATIONS = 4096
"""RFC 7677, section 4: the least that a verifier should have."""


def scram_verifier(password: str, iterations: int = ITERATIONS) -> str:
    """What PostgreSQL keeps of a password: SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def make_roles(admin: asyncpg.Connection, names: Sequence[str], passwords: Mapping[str, str], iterations: int = ITERATIONS) -> None:
    """Roles with their passwords; the server is sent verifiers only, so no password can end up in its log."""
    existing = {row["rolname"] for row in await admin.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", names)}
    superuser = await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    statements, verifier = [], partial(scram_verifier, iterations=iterations)
    for name in names:
        kind = name.rpartition("_")[2]
        verb = "ALTER" if name in existing else "CREATE"
        statements.append(f"{verb} ROLE \"{name}\" LOGIN NOCREATEDB NOCREATEROLE CONNECTION LIMIT 60 PASSWORD '{verifier(passwords[name])}'")
        statements += [f"ALTER ROLE \"{name}\" SET {setting} = '{value}'" for setting, value in ROLE_SETTINGS[kind].items()]
        if kind == "owner" and not superuser:
            statements.append(f'GRANT "{name}" TO current_user')  # or this administrator may not make a database for it
    await admin.execute(";".join(statements))


async def _close_shared_databases(admin: asyncpg.Connection) -> None:
    """Nobody but administrators needs `postgres` and `template1`; on a server of somebody else's they are not ours to close."""
    if await admin.fetchval("SELECT rolsuper AND oid = 10 FROM pg_roles WHERE rolname = current_user"):
        await admin.execute("REVOKE ALL ON DATABASE postgres FROM PUBLIC; REVOKE ALL ON DATABASE template1 FROM PUBLIC")


async def set_schema_rules(owner_url: str, service: str) -> None:
    """Grant beforehand, as the owner, what the roles may do with all that the migrations will make."""
    owner, app, reader = (role(service, kind) for kind in KINDS)
    future = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}"'
    statements = (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;"
        f'GRANT USAGE ON SCHEMA public TO "{app}", "{reader}";'
        f"{future} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"
        f'{future} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{app}";'
        f'{future} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO "{app}";'
        f'{future} IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO "{app}"'
    )
    async with connection(owner_url) as owner:
        await owner.execute(statements)
