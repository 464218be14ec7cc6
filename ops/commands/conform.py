"""`liandong conform`: whether a server keeps the federation's contract, in whatever language it is written."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ops.commands.options import FAILED, USAGE, VarDir, fail, running_city
from ops.hub import Refused, get_token

if TYPE_CHECKING:
    from ops.conform.run import Report

Dashed = Annotated[bool, typer.Option("--json", help="The whole report as one JSON object.")]


def conform(
    server: Annotated[str, typer.Argument(help="Address of the server, or the name of a service of the running city: food.")],
    token: Annotated[str | None, typer.Option(help="An access token for the server. Safer: --token-env.")] = None,
    token_env: Annotated[str, typer.Option(help="Variable that holds the token.")] = "LIANDONG_TOKEN",
    narrow_token: Annotated[str | None, typer.Option(envvar="LIANDONG_NARROW_TOKEN", help="A token with fewer areas or less clearance.")] = None,
    other_token: Annotated[str | None, typer.Option(envvar="LIANDONG_OTHER_TOKEN", help="A token for another service, which must be refused.")] = None,
    hub: Annotated[str | None, typer.Option(help="Address of the hub, which explains event types.")] = None,
    hub_token: Annotated[str | None, typer.Option(envvar="LIANDONG_HUB_TOKEN", help="A token for the hub.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Check this dataset only.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that an answer may take.", min=0.1, max=600)] = 10.0,
    within: Annotated[float, typer.Option(help="Seconds that the whole run may take.", min=1, max=86_400)] = 600.0,
    var_dir: VarDir = Path("var"),
    as_json: Dashed = False,
    details: Annotated[bool, typer.Option("--all", help="Show what passed, too.")] = False,
) -> None:
    """Test a server against the contract: capabilities, records, aggregates, rights, history, events, errors.

    It only reads. Ends with 0 if the server conforms, 1 if not.

    - `liandong conform food`
    - `LIANDONG_TOKEN=… liandong conform https://water.example/api --hub https://hub.example`
    - `liandong conform food --dataset food.premises --all`
    """
    asked: dict[str, Any] = {"token": token or os.environ.get(token_env), "other": other_token, "hub": hub, "hub_token": hub_token}
    url, found = _of_city(server, var_dir) if "://" not in server else (server, {})
    asked = {name: value or found.get(name) for name, value in asked.items()}
    if not url.startswith(("http://", "https://")):
        fail(f"{server!r} is neither an address (http://…) nor the name of a service.", USAGE)
    from ops.conform.asking import Limits

    _tell(asyncio.run(_run(url, asked, Limits(answer_s=timeout, total_s=within), narrow_token, dataset)), as_json=as_json, details=details)


def _tell(report: Report, *, as_json: bool, details: bool) -> None:
    from ops.conform.showing import show

    if as_json:
        typer.echo(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        show(report, Console(), chinese=_prefers_chinese(), details=details)
    if not report.conforms:
        raise typer.Exit(FAILED)


def _of_city(name: str, var_dir: Path) -> tuple[str, dict[str, str]]:
    """Address and tokens of a service of the running city: its own system's client, which may only read here."""
    city = running_city(var_dir)
    if name not in city["services"]:
        fail(f"The running city has no service {name!r}; it has {', '.join(city['services'])}.", USAGE)
    sector = next((other for other in city["services"] if other not in (name, "hub")), None)
    own = f"{city['city']}/{name}"
    try:
        found = {"hub": city["services"]["hub"]["url"], "hub_token": get_token(city, "analyst")["access_token"]}
        if name == "hub":
            found["token"] = found["hub_token"]
            found |= {"other": get_token(city, "analyst", f"{city['city']}/{sector}")["access_token"]} if sector else {}
        else:
            found["token"] = get_token(city, f"{name}-system", own, f"{name}:read")["access_token"]
            found["other"] = found["hub_token"]
    except Refused as error:
        fail(str(error))
    return city["services"][name]["url"], found


async def _run(url: str, asked: dict[str, Any], limits: Any, narrow: str | None, dataset: str | None) -> Report:
    from ops.conform.asking import Asker
    from ops.conform.run import conform as run
    from ops.conform.subject import Subject

    asker = Asker(url, asked["token"], limits)
    hub = Asker(asked["hub"], asked["hub_token"], limits) if asked["hub"] else None
    try:
        return await run(Subject(asker, narrow=narrow, other=asked["other"], hub=hub, only=dataset))
    finally:
        await asker.aclose()
        if hub is not None:
            await hub.aclose()


def _prefers_chinese() -> bool:
    return next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "").startswith("zh")
