"""What `make check` adds to the linters: migrations in step with the models, pages in step with the code.

`python -m ops.check` compares; `--write` writes the pages.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from ops.deploying.composing import compose_file
from ops.dictionary_page import dictionary_page
from ops.launching import free_port
from ops.migrate import differences, migrate_all
from ops.postgres import UNSAFE_BUT_FAST, Postgres, local_postgres
from ops.provision import provision, role, role_names, role_url
from ops.services import ROOT, declared, present
from ops.settings_page import settings_page
from shared.database import driver_url

WRITTEN: dict[str, Callable[[], str]] = {
    "docs/settings.md": settings_page,
    "docs/dictionary.md": dictionary_page,
    "compose.yaml": lambda: compose_file(present()),
}
"""Files that follow from the code."""


async def models_ahead_of_migrations(postgres: Postgres) -> list[str]:
    """For every service whose migrated database differs from its models: what differs."""
    services = present()
    passwords = {name: name for name in role_names(services)}
    await provision(postgres.url(), services, passwords)
    urls = {name: role_url(postgres.url(), name, "owner", role(name, "owner")) for name in services}
    await migrate_all(urls)
    found = []
    for name, url in urls.items():
        engine = create_async_engine(driver_url(url), poolclass=NullPool)
        async with engine.begin() as connection:
            difference = await connection.run_sync(differences, declared(name))
        await engine.dispose()
        if difference:
            found.append(f"{name}: {difference}")
    return found


def check_migrations() -> list[str]:
    """The same on a PostgreSQL made for the purpose."""
    with tempfile.TemporaryDirectory(prefix="liandong-check-") as folder:
        Path(folder).chmod(0o755)
        postgres = local_postgres(Path(folder) / "pg", free_port(), "check-only", UNSAFE_BUT_FAST)
        launch = postgres.launch()
        log = (Path(folder) / "postgres.log").open("wb")
        server = subprocess.Popen(launch.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            asyncio.run(_once_ready(postgres))
            return asyncio.run(models_ahead_of_migrations(postgres))
        finally:
            server.send_signal(launch.stop_with)
            server.wait(20)
            log.close()


async def _once_ready(postgres: Postgres) -> None:
    async with asyncio.timeout(20):
        while not postgres.ready():
            await asyncio.sleep(0.02)


def main() -> None:
    files = {ROOT / name: write() for name, write in WRITTEN.items()}
    if "--write" in sys.argv:
        for path, content in files.items():
            path.write_text(content, encoding="utf-8")
        return
    faults = [f"Models and migrations differ. Write a revision.\n  {difference}" for difference in check_migrations()]
    for path, content in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            faults.append(f"{path.relative_to(ROOT)} is not in step with the code. Run: make docs")
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
