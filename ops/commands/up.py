"""`liandong up`: run the city in the foreground."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import VarDir, fail
from ops.launching import LaunchError
from ops.place import Place
from ops.supervisor import run_city


class Demo(StrEnum):
    ON = "on"
    OFF = "off"


def up(
    var_dir: VarDir = Path("var"),
    port_base: Annotated[int, typer.Option(envvar="PORT_BASE", help="Port of the hub; the sectors follow it.")] = 8000,
    city: Annotated[str, typer.Option(envvar="CITY", help="Six-digit code of the city.")] = "430300",
    postgres_url: Annotated[str | None, typer.Option(envvar="LIANDONG_POSTGRES_URL", help="Administrator's address of a PostgreSQL of yours.")] = None,
    redis_url: Annotated[str | None, typer.Option(envvar="LIANDONG_REDIS_URL", help="Administrator's address of a Redis or Valkey of yours.")] = None,
    demo: Annotated[Demo, typer.Option(envvar="DEMO", help="Whether a new city is furnished with facts that are made up, and lives.")] = Demo.ON,
    demo_speed: Annotated[float, typer.Option(envvar="DEMO_SPEED", min=0.1, max=100, help="How many times as much happens in the demo.")] = 1.0,
    demo_seed: Annotated[str, typer.Option(envvar="DEMO_SEED", help="What the demo's chance begins with.")] = "1",
) -> None:
    """Run the whole city until Ctrl-C: PostgreSQL, Redis, every service.

    Data and generated passwords stay in the folder; a second start goes on where the first ended.

    - `liandong up`
    - two cities side by side: `liandong up --var-dir var-south --port-base 9000 --city 440300`
    - your own database: `liandong up --postgres-url postgresql://admin:…@db.example/postgres`
    """
    try:
        run_city(Place(var_dir.resolve(), port_base, city, postgres_url, redis_url, demo.value, demo_speed, demo_seed))
    except LaunchError as error:
        fail(str(error))
