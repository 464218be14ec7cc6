"""`liandong network`: the road network in force, and another one in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ops.commands.options import USAGE, VarDir, fail, running_city
from ops.hub import Refused, call, get_token

PATIENCE_S = 600.0


def network(
    files: Annotated[list[Path] | None, typer.Argument(help="An OpenStreetMap file, a CSV of edges, or two CSV files: nodes, then arcs.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where the file is from, with its licence.")] = None,
    area: Annotated[str | None, typer.Option("--area", help="Area that the network belongs to; the city's own if not given.")] = None,
    client: Annotated[str, typer.Option("--client", help="Who imports.")] = "traffic-system",
    var_dir: VarDir = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="The service's whole answer.")] = False,
) -> None:
    """Show which road network is in force and what is closed; with files, import another one.

    - `liandong network`
    - `liandong network city.osm.pbf --source "OpenStreetMap, ODbL"`
    - `liandong network nodes.csv.gz arcs.csv.gz --source "JEMSS.jl, ODbL"`
    """
    city = running_city(var_dir)
    try:
        if not files:
            answer = call("GET", f"{_url(city)}/network/state", token=get_token(city, client, resource=f"{city['city']}/traffic")["access_token"])
        elif source is None:
            fail("Say where the file is from: --source.", USAGE)
        else:
            answer = import_network(city, files, source=source, area=area, client=client)
    except (Refused, OSError) as error:
        fail(str(error))
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _show(answer)


def import_network(city: dict[str, Any], files: list[Path], *, source: str, area: str | None = None, client: str = "traffic-system") -> dict[str, Any]:
    """Put the network of these files in force. Raises `Refused` or `OSError`."""
    token = get_token(city, client, resource=f"{city['city']}/traffic")["access_token"]
    params = {"source": source} | ({"area": area} if area else {})
    if len(files) > 2:
        raise Refused("A network is one file, or two: nodes, then arcs.")
    if len(files) == 2:
        parts = {part: (path.name, path.read_bytes()) for part, path in zip(("nodes", "arcs"), files, strict=True)}
        return _put(city, token, params, {}, {"files": parts})
    kind = "text/csv" if ".csv" in files[0].suffixes else "application/octet-stream"
    return _put(city, token, params, {"Content-Type": kind}, {"content": files[0].read_bytes()})


def _put(city: dict[str, Any], token: str, params: dict[str, str], headers: dict[str, str], request: dict[str, Any]) -> dict[str, Any]:
    import httpx

    headers = {**headers, "Authorization": f"Bearer {token}"}
    try:
        answer = httpx.put(f"{_url(city)}/network", params=params, headers=headers, timeout=PATIENCE_S, trust_env=False, **request)
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Refused(f"The traffic service does not answer: {error}") from error
    if not answer.is_success:
        raise Refused(f"{answer.status_code}: {found.get('detail') or found.get('title')}", answer.status_code)
    return found


def _url(city: dict[str, Any]) -> str:
    if "traffic" not in city["services"]:
        raise Refused(f"This city runs no traffic service; it runs {', '.join(city['services'])}.")
    return str(city["services"]["traffic"]["url"])


def _show(answer: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if "closures" in answer:
        console.print(f"Network in force: {answer['version'] or 'none'}; closures that are not over: {len(answer['closures'])}; speeds: {answer['speeds']}")
        return
    new = "is in force now" if answer["replaced"] else "was in force already"
    console.print(f"Network {answer['version']} {new}: {answer['nodes']:,} nodes, {answer['arcs']:,} arcs, {answer['length_km']:,.0f} km.")
    told = ", ".join(f"{count:,} {name}" for name, count in [*answer["rows"].items(), *answer["left_out"].items()])
    console.print(f"In the file: {told}. Not modelled: {', '.join(answer['not_modelled'])}.")
