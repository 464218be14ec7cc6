"""`liandong secrets`: what `compose.yaml` needs before its first start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import fail


def secrets(
    city: Annotated[str, typer.Option(envvar="CITY", help="Six-digit code of the city.")] = "430300",
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = Path("deploy/secrets"),
) -> None:
    """Make the passwords, clients and settings of a deployment, each in a file that only you may read.

    Run it again after an update: what is there keeps its passwords, what is new is added. Then `docker compose up --detach --wait`.
    """
    from ops.deploying.secretfiles import write_environment, write_secrets  # the services' declarations, which no other command needs

    try:
        written = write_secrets(folder, city)
        write_environment(Path(".env"))
    except (OSError, ValueError) as error:
        fail(str(error))
    print(f"{len(written)} files in {folder}, and .env. The credentials of all clients are in {folder / 'clients.json'}.")
