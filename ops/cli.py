"""The command line of a city: `liandong up`, `status`, `token`, `load`, `query`."""

from __future__ import annotations

import typer

from ops.commands import conform, keys, load, network, new, query, secrets, status, token, tour, up

app = typer.Typer(
    name="liandong",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Run a city and ask it questions · 运行一座城市并向它提问。",
)
app.command("up")(up.up)
app.command("status")(status.status)
app.command("token")(token.token)
app.command("load")(load.load)
app.command("network")(network.network)
app.command("query")(query.query)
app.command("tour")(tour.tour)
app.command("conform")(conform.conform)
app.command("secrets")(secrets.secrets)
app.add_typer(keys.app, name="keys")
app.add_typer(new.app, name="new")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
