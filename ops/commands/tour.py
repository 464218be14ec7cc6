"""`liandong tour`: ninety seconds on the running city."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import FAILED, USAGE, VarDir, fail, running_city
from ops.hub import Refused

INTERRUPTED = 130


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


def tour(
    var_dir: VarDir = Path("var"),
    language: Annotated[Language, typer.Option(help="Of the narration; the report has both.")] = Language.ZH,
    neighbour: Annotated[Path | None, typer.Option(help="Folder of a second running city, which is warned.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without pauses.")] = False,
) -> None:
    """Ninety seconds: a leak crosses the sectors, one of which is killed meanwhile; what is told is what is measured.

    The leak is an exercise in a city whose facts are made up; it is concluded at the end, and on Ctrl-C. Nothing reaches a public channel.
    Ends with 0 if everything came true, 1 if something did not, 4 if no city runs, 130 if it was interrupted.

    - `liandong tour --language en`
    - with a neighbour: `liandong tour --neighbour var-south`
    """
    from ops.tour.guide import tour as lead  # what it needs is loaded only here

    run = running_city(var_dir)
    beside = running_city(neighbour) if neighbour else None
    if beside and beside["city"] == run["city"]:
        fail(f"Both are {run['city']}: a neighbour is another city. Start one with CITY=430100 VAR_DIR=var-south PORT_BASE=9000 make run.", USAGE)
    try:
        outcome = lead(
            var_dir.resolve(), run, (neighbour.resolve(), beside) if neighbour and beside else None, language=language.value, quick=quick, show=typer.echo
        )
    except Refused as error:
        fail(str(error))
    zh = language is Language.ZH
    typer.echo(f"\n{'报告' if zh else 'Report'}: {outcome.report}")
    if outcome.script:
        typer.echo(f"{'逐步手工重做的命令' if zh else 'The commands of each step, by hand'}: {outcome.script}\n")
        typer.echo(outcome.script.read_text(encoding="utf-8"))
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.missed:
        raise typer.Exit(FAILED)
