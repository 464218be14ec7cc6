"""Options that every command has, and how a command says that it cannot go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from ops.place import Place
from ops.runfile import read_run_file

FAILED, USAGE, INCOMPLETE, NOT_RUNNING = 1, 2, 3, 4
"""Exit codes: it failed, the command was wrong, something is missing (with --strict), no city runs."""

VarDir = Annotated[Path, typer.Option("--var-dir", envvar="VAR_DIR", help="Folder with everything the city keeps.")]
errors = Console(stderr=True, highlight=False)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on standard error and end with a code."""
    errors.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def running_city(var: Path) -> dict[str, Any]:
    """The content of `run.json`, or exit 4."""
    place = Place(var=var.resolve())
    found = read_run_file(place)
    if found is None:
        fail(f"No city is ready in {place.var}. Start one with `make run` (or `liandong up`), or name its folder with --var-dir.", NOT_RUNNING)
    return found
