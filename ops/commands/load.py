"""`liandong load`: a publisher's files into a service of the running city."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ops.commands.options import FAILED, USAGE, VarDir, errors, fail
from ops.place import Place
from ops.runfile import read_run_file

if TYPE_CHECKING:
    from ops.load.mapping import FileMapping

SOME_REJECTED = 3


def load(
    files: Annotated[list[Path] | None, typer.Argument(help="CSV, NDJSON, JSON or GeoJSON; also .gz, .bz2, .zst", show_default=False)] = None,
    mapping: Annotated[str | None, typer.Option("--mapping", "-m", help="Name of a shipped mapping, or the path of a .toml file.")] = None,
    correct: Annotated[bool, typer.Option("--correct", help="Put other values in the place of recorded ones; the old ones are kept.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 3 if any row was rejected.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Map the first rows and show them; needs no running city.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="Show the shipped mappings and where their originals are published.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as one JSON object, for machines.")] = False,
    var_dir: VarDir = Path("var"),
) -> None:
    """Load files into a service, by a mapping that says which column is what.

    Rows are independent: what is sound is taken, the rest is rejected with its line and reason. A second load of the same file
    changes nothing. Ends with 0, 1 if it could not be done, 2 if the command is wrong, 3 with --strict if rows were rejected.

    - `liandong load --list`
    - `liandong load stations.csv --mapping beijing-stations`
    - `liandong load PRSA_*.csv.gz --mapping beijing-air`
    - your own: copy a shipped mapping, then `liandong load mine.csv --mapping ./mine.toml --dry-run`
    """
    if list_them:
        _list(as_json=as_json)
        return
    if not files or mapping is None:
        fail("Say which files and which mapping: liandong load FILE… --mapping NAME. `liandong load --list` shows the shipped ones.", USAGE)
    chosen = _mapping(mapping)
    rejected = _preview(files, chosen, as_json=as_json) if dry_run else _load(files, chosen, var_dir, correct=correct, as_json=as_json)
    if strict and rejected:
        raise typer.Exit(SOME_REJECTED)


def _list(*, as_json: bool) -> None:
    from ops.load.mapping import shipped
    from ops.load.showing import show_mappings

    found = shipped()
    if as_json:
        chosen = ("name", "title", "source", "licence", "notes", "target")
        _print([each.model_dump(mode="json", include=set(chosen)) for each in found])
    else:
        show_mappings(found, Console())


def _mapping(name: str) -> FileMapping:
    from ops.load.mapping import CannotMap, read_mapping

    try:
        return read_mapping(name)
    except CannotMap as error:
        fail(str(error), USAGE)


def _preview(files: list[Path], mapping: FileMapping, *, as_json: bool) -> int:
    from ops.load.mapping import CannotMap
    from ops.load.preview import preview
    from ops.load.showing import show_previews

    try:
        previews = preview(files, mapping)
    except CannotMap as error:
        fail(str(error))
    if as_json:
        _print([each.as_dict() for each in previews])
    else:
        show_previews(previews, mapping, Console())
    return sum(each.tally.counts["rejected"] for each in previews)


def _load(files: list[Path], mapping: FileMapping, var_dir: Path, *, correct: bool, as_json: bool) -> int:
    from ops.load.engine import Load
    from ops.load.mapping import CannotMap
    from ops.load.sending import CannotLoad, Sender
    from ops.load.showing import progress_of, show_report

    place = Place(var=var_dir.resolve())
    city = read_run_file(place)
    if city is None:
        fail(f"No city is ready in {place.var}. Start one with `make run` (or `liandong up`), or name its folder with --var-dir.")
    try:
        sender = Sender(city, mapping.target.service)
        with progress_of(files, errors) as watch:
            report = Load(mapping, sender, correct, watch).run(files)
    except (CannotMap, CannotLoad) as error:
        fail(str(error))
    if as_json:
        _print(report.as_dict())
    else:
        show_report(report, Console(), mapping.notes)
    if report.stopped:
        raise typer.Exit(FAILED)
    return report.rejected


def _print(found: Any) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False))
