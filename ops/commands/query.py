"""`liandong query`: one question to the whole city, with the coverage of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.commands.options import INCOMPLETE, VarDir, fail, running_city
from ops.commands.sql_query import ask_sql, is_sql, show_explained
from ops.hub import Refused, call, get_token

STATUS_COLOURS = {"ok": "green", "stale": "yellow"}
READABLE = 12
"""Characters of a column that can still be read when it is narrower than its content."""


def query(
    dataset: Annotated[
        str, typer.Argument(help="What to ask: fire.calls, food.inspections …, or a SELECT in quotes; without it, what can be asked is listed.")
    ] = "",
    measure: Annotated[list[str] | None, typer.Option("--measure", "-m", help="name:fn or name:fn(field); may be repeated.")] = None,
    by: Annotated[list[str] | None, typer.Option("--by", "-b", help="A field, area:district, time:month; may be repeated.")] = None,
    where: Annotated[str | None, typer.Option("--filter", "-f", help="Which rows, as CQL2 text.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="From this moment on, with zone: 2026-11-01T00:00:00+08:00.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this moment (with -m), or up to it.")] = None,
    tz: Annotated[str | None, typer.Option("--tz", help="Time zone in which days and months are cut.")] = None,
    sortby: Annotated[list[str] | None, typer.Option("--sortby", "-s", help="A column, with - before it for the greatest first; may be repeated.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Most rows.", min=1)] = 50,
    known_at: Annotated[str | None, typer.Option("--known-at", help="Answer as it would have been answered then.")] = None,
    within: Annotated[float | None, typer.Option("--within", help="Seconds that the answer may take (with -m); the hub's default is 2.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 3 if a source is missing from the answer.")] = False,
    client: Annotated[str, typer.Option("--client", help="Who asks.")] = "analyst",
    var_dir: VarDir = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="The hub's whole answer.")] = False,
) -> None:
    """Ask the hub for rows, or for measures by area, time or any field. Below the answer stands who answered.

    - `liandong query`
    - `liandong query fire.calls -n 5`
    - `liandong query fire.calls -m calls:count -m "p90:quantile(response_s,0.9)" -b area:district -s -calls`
    - `liandong query env.observations -m "pm25:avg(value)" -f "property='pm25'" -b area:district -b time:month --strict`
    - `liandong query "SELECT area, count(*) AS calls FROM fire.calls GROUP BY area ORDER BY calls DESC"`
    """
    city = running_city(var_dir)
    hub, within_ms = city["services"]["hub"]["url"], round(within * 1000) if within else None
    aggregate_only = {"tz": tz, "deadline_ms": within_ms} if measure else {}
    asked = _parameters(measure, by, sortby, filter=where, limit=limit, known_at=known_at, **aggregate_only, **_times(bool(measure), since, until))
    try:
        token = get_token(city, client)["access_token"]
        if is_sql(dataset):
            answer = ask_sql(hub, token, dataset, limit=limit, known_at=known_at, strict=strict or None, deadline_ms=within_ms)
        else:
            answer = call("GET", hub + _path(dataset, bool(measure)), token=token, params=asked if dataset else [])
    except Refused as error:
        fail(str(error))
    _tell(answer, as_json=as_json, strict=strict)


def _tell(answer: dict[str, Any], *, as_json: bool, strict: bool) -> None:
    """Show the answer; end with 3 if it is not whole and should be."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _show(answer)
    if strict and not answer.get("coverage", {}).get("complete", True):
        raise typer.Exit(INCOMPLETE)


def _path(dataset: str, aggregate: bool) -> str:
    return f"/collections/{dataset}/{'aggregate' if aggregate else 'items'}" if dataset else "/collections"


def _times(aggregate: bool, since: str | None, until: str | None) -> dict[str, str | None]:
    """Half-open for aggregates, OGC's closed interval for rows."""
    if aggregate:
        return {"from": since, "until": until}
    return {"datetime": f"{since or '..'}/{until or '..'}" if since or until else None}


def _parameters(measures: list[str] | None, by: list[str] | None, sortby: list[str] | None, **single: str | int | None) -> list[tuple[str, str]]:
    several = [("measure", value) for value in measures or ()] + [("by", value) for value in by or ()]
    order = [("sortby", ",".join(sortby))] if sortby else []
    return [*several, *order, *((name, str(value)) for name, value in single.items() if value is not None)]


def _show(answer: dict[str, Any]) -> None:
    console = Console()
    if "scans" in answer:
        show_explained(answer)
        return
    if "collections" in answer:
        table = Table("dataset", "title")
        for collection in answer["collections"]:
            table.add_row(collection["id"], escape(str(collection.get("title", ""))))
        console.print(table)
        return
    columns, rows = _table(answer)
    cells = [[_cell(value) for value in row] for row in rows]
    if _fits(console, columns, cells):
        table = Table(*(escape(column) for column in columns))
        for row in cells:
            table.add_row(*(escape(cell) for cell in row))
        console.print(table)
    else:
        _show_upright(console, columns, cells)
    console.print(_counted(len(rows)))
    if "coverage" in answer:
        _show_coverage(console, answer["coverage"])


def _fits(console: Console, columns: list[str], cells: list[list[str]]) -> bool:
    """Whether each column gets the width that it needs, or at least `READABLE` characters of it."""
    needed = (max(cell_len(text) for text in column) for column in zip(columns, *cells, strict=True))
    return sum(min(width, READABLE) + 3 for width in needed) < console.width


def _show_upright(console: Console, columns: list[str], cells: list[list[str]]) -> None:
    """Each row as a list of its fields: for answers with more columns than the terminal has room for."""
    for number, row in enumerate(cells, start=1):
        console.print(f"[bold]{number}[/]")
        table = Table(box=None, show_header=False)
        for column, cell in zip(columns, row, strict=True):
            table.add_row(f"[dim]{escape(column)}[/]", escape(cell))
        console.print(table)


def _counted(rows: int) -> str:
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(answer: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of an aggregate, or of a GeoJSON collection."""
    if "columns" in answer:
        titles = [f"{column['name']} [{column['unit']}]" if column.get("unit") else column["name"] for column in answer["columns"]]
        return titles, answer["rows"]
    features = answer.get("features", [])
    names = list(dict.fromkeys(name for feature in features for name in feature["properties"]))
    if all(feature["properties"].get("id") == feature.get("id") for feature in features):
        names = [name for name in names if name != "id"]
    return ["id", *names], [[feature.get("id"), *(feature["properties"].get(name) for name in names)] for feature in features]


def _show_coverage(console: Console, coverage: dict[str, Any]) -> None:
    complete = "[green]complete[/]" if coverage.get("complete") else "[red]incomplete[/]"
    limits = ", limited to this token's areas and clearance" if coverage.get("limited") else ""
    suppressed = f", {coverage['suppressed']} small groups suppressed" if coverage.get("suppressed") else ""
    console.print(f"Coverage: {complete} as of {coverage.get('as_of')}{limits}{suppressed}")
    for source in coverage.get("sources", []):
        colour = STATUS_COLOURS.get(source["status"], "red")
        why = f"  {escape(source['problem'].get('title', ''))}" if source.get("problem") else ""
        took = "" if source.get("elapsed_ms") is None else f", {source['elapsed_ms']} ms"
        told = _counted(source.get("rows") or 0) + took
        console.print(f"  {source['source']} {source.get('dataset', '')}: [{colour}]{source['status']}[/], {told}{why}", soft_wrap=True)
