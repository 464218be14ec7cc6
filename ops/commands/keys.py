"""`liandong keys`: the keys that sign access tokens."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from ops.commands.options import VarDir, fail
from ops.place import Place

if TYPE_CHECKING:
    from services.hub.access.keys import Keyring

app = typer.Typer(no_args_is_help=True, help="The keys that sign access tokens: which there are, and their rotation.")


@app.command("list")
def show(var_dir: VarDir = Path("var")) -> None:
    """Show the keys in use, next and retired; their private halves are never shown."""
    from services.hub.access.keys import UnsafeKeys, open_keys  # the hub's libraries, which no other command needs

    try:
        _print(open_keys(_folder(var_dir), int(time.time())))
    except (UnsafeKeys, OSError) as error:
        fail(str(error))


@app.command("rotate")
def rotate(
    var_dir: VarDir = Path("var"),
    force: Annotated[bool, typer.Option("--force", help="At once, even if services have not learned the next key yet: for a stolen key.")] = False,
) -> None:
    """Let the next key sign from now on. Tokens that the last one signed stay valid until they expire; nothing restarts.

    - `liandong keys rotate`
    - `liandong keys rotate --force` after a theft
    """
    from services.hub.access import keys

    folder, now = _folder(var_dir), int(time.time())
    try:
        before = keys.open_keys(folder, now)
        after = keys.rotate(folder, now, force=force)
    except (keys.UnsafeKeys, OSError) as error:
        fail(str(error))
    if after.current.kid == before.current.kid:
        fail("The next key has been published for less than two minutes, so services may not know it. Wait, or use --force.")
    _print(after)


def _folder(var_dir: Path) -> Path:
    folder = Place(var_dir.resolve()).signing_keys
    if not folder.is_dir():
        fail(f"There are no keys in {folder}. The hub makes them at its first start; name the city's folder with --var-dir.")
    return folder


def _print(ring: Keyring) -> None:
    table = Table(Column("key", overflow="fold"), "is", "since")
    rows = [(ring.current, "in use", ring.current.used_from), (ring.following, "next", ring.following.created)]
    for key, what, since in (*rows, *((key, "retired", key.retired_at) for key in ring.retired)):
        table.add_row(key.kid, what, f"{datetime.fromtimestamp(since or key.created, UTC):%Y-%m-%d %H:%M:%S} UTC")
    Console().print(table)
