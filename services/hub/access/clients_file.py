"""The clients file: machine clients that exist from the first start on.

A JSON list, mode 0600, one object per client:

    [{"id": "env-system", "secret": "<43 characters or more: 256 random bits, base64url>",
      "scopes": ["env:read", "env:write"], "areas": ["*"], "clearance": {"grade": "important", "personal": "none"},
      "purposes": ["operations"], "audiences": ["430300/env", "430300/hub"]}, …]

`clearance` and `audiences` may be left out (general and none; every service). The hub reads the file at each start: it adds
clients it does not know, and takes over a changed secret unless an administrator has changed that secret since. Rights that an
administrator changed stay.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
from pydantic import Field, SecretStr, TypeAdapter, ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from services.hub.access.models import Client
from services.hub.access.schemas import ClientIn
from services.hub.access.secret_hash import hash_secret
from shared.private_files import write_private
from shared.service import Runtime

BY_FILE = "clients-file"
_log = structlog.get_logger("access")


class ClientEntry(ClientIn):
    secret: Annotated[SecretStr, Field(min_length=43, max_length=256)]


class UnsafeClientsFile(Exception):
    """The clients file can be read by others, or is not of the form above."""


_ENTRIES = TypeAdapter(list[ClientEntry])


def default_clients(city: str, services: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The clients that a new city starts with, each with a secret of its own.

    Roles (admin, analyst, duty, commander, auditor); `<service>-system` for the systems of each sector; and `<service>-service` for a service
    that asks others in its own name: `services` says by its name which ones. Such a client reads there what is shared, and nothing else.
    """
    roles = [
        _entry("admin", ["hub:admin", "hub:query", "hub:events"], "administration"),
        _entry("analyst", ["hub:query", "hub:events"], "analysis"),
        _entry("duty", ["hub:query", "hub:events", "hub:command"], "operations"),
        _entry("commander", ["hub:query", "hub:events", "hub:command"], "operations"),
        _entry("auditor", ["hub:query", "hub:audit"], "audit"),
    ]
    systems = [
        _entry(f"{name}-system", [f"{name}:audit", f"{name}:read", f"{name}:write"], "operations", audiences=[f"{city}/{name}", f"{city}/hub"])
        for name in services
        if name != "hub"
    ]
    own = [_entry(f"{name}-service", ["hub:query"], "operations", audiences=[f"{city}/{asked}" for asked in asks]) for name, asks in services.items() if asks]
    return [*roles, *systems, *own]


def _entry(client: str, scopes: list[str], purpose: str, *, audiences: list[str] | None = None) -> dict[str, Any]:
    return {
        "id": client,
        "secret": secrets.token_urlsafe(32),
        "scopes": scopes,
        "areas": ["*"],
        "clearance": {"grade": "important", "personal": "none"},
        "purposes": [purpose],
        "audiences": audiences or ["*"],
    }


def write_clients(path: Path, clients: list[dict[str, Any]]) -> None:
    """Write a clients file, readable by its owner alone; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, orjson.dumps(clients, option=orjson.OPT_INDENT_2))


def read_clients(path: Path) -> list[ClientEntry]:
    """The clients of the file; `UnsafeClientsFile` says what is wrong with it, never showing a secret."""
    if path.stat().st_mode & 0o077:
        raise UnsafeClientsFile(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except ValidationError as error:
        found = "; ".join(f"/{'/'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_input=False)[:5])
        raise UnsafeClientsFile(f"{path}: {found}") from None


async def take_clients_file(runtime: Runtime) -> bool:
    """Take the file of the settings in; whether that is done with, which it is not only while the database is away."""
    path = runtime.settings.clients_file
    if path is None:
        return True
    try:
        entries = await asyncio.to_thread(read_clients, path)
        async with runtime.sessions.begin() as session:
            await _take(session, entries)
    except (UnsafeClientsFile, FileNotFoundError) as error:
        _log.error("clients file not read", error=str(error))
    except (SQLAlchemyError, OSError) as error:
        _log.warning("clients file waits for the database", error=repr(error))
        return False
    return True


async def _take(session: AsyncSession, entries: list[ClientEntry]) -> None:
    """Add what is new; take over secrets that only the file has ever set."""
    if not entries:
        return
    rows = [
        {**entry.columns(), "id": entry.id, "secret_sha256": hash_secret(entry.secret.get_secret_value()), "secret_set_by": BY_FILE, "created_by": BY_FILE}
        for entry in entries
    ]
    adding = insert(Client).values(rows)
    await session.execute(
        adding.on_conflict_do_update(
            index_elements=[Client.id],
            set_={"secret_sha256": adding.excluded.secret_sha256},
            where=Client.secret_set_by == BY_FILE,
        )
    )
    _log.info("clients file read", clients=len(rows))
