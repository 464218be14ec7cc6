"""Makes one service's database ready, in a container of its own that ends when it is done: `python -m ops.deploying.prepare food`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from ops.deploying.places import SECRETS
from ops.deploying.secretfiles import read_prepare
from ops.migrate import build
from ops.provision import provision, role, role_url
from ops.services import declared


async def prepare(service: str, secret: Path) -> None:
    """Roles, database and revisions of a service, by what its secret says. Repeatable."""
    admin_url, passwords = read_prepare(secret)
    await provision(admin_url, [service], {role(service, kind): password for kind, password in passwords.items()})
    await build(declared(service), role_url(admin_url, service, "owner", passwords["owner"]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.deploying.prepare", description=__doc__)
    parser.add_argument("service")
    service = parser.parse_args().service
    try:
        asyncio.run(prepare(service, SECRETS / f"prepare-{service}"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
