"""`liandong token`: an access token of the running city, for curl and notebooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import VarDir, fail, running_city
from ops.hub import Refused, get_token


def token(
    client: Annotated[str, typer.Argument(help="admin, analyst, duty, auditor, env-system, fire-system, …")] = "analyst",
    resource: Annotated[str | None, typer.Option(help="Who the token is for: env, 430300/env; the hub if not given.")] = None,
    scope: Annotated[str | None, typer.Option(help="Fewer scopes than the client has, separated by spaces.")] = None,
    var_dir: VarDir = Path("var"),
    as_json: Annotated[bool, typer.Option("--json", help="The hub's whole answer.")] = False,
) -> None:
    """Print an access token; it lives for 15 minutes at most.

    - `curl -H "Authorization: Bearer $(liandong token analyst)" http://127.0.0.1:8000/collections`
    - `liandong token env-system --resource env`
    """
    city = running_city(var_dir)
    audience = f"{city['city']}/{resource}" if resource and "/" not in resource else resource
    try:
        answer = get_token(city, client, audience, scope)
    except Refused as error:
        fail(str(error))
    typer.echo(json.dumps(answer) if as_json else answer["access_token"])
