"""`liandong new sector`: a service that runs, passes its tests and appears at the hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.options import USAGE, fail
from ops.services import ROOT

app = typer.Typer(help="Make something new in this checkout · 在本代码库中新建。", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def new() -> None:
    """Make something new in this checkout · 在本代码库中新建。"""


@app.command("sector")
def sector(
    name: Annotated[str, typer.Argument(help="Small letters and digits: water, heritage. It names the module, the database, the events.")],
    zh: Annotated[str | None, typer.Option("--zh", help="Title in Chinese; the name if not given.")] = None,
    en: Annotated[str | None, typer.Option("--en", help="Title in English; the name if not given.")] = None,
    root: Annotated[Path, typer.Option("--root", help="The checkout.")] = ROOT,
) -> None:
    """Make a new sector: service, tables, dataset, event, tests, page. All of it or nothing.

    - `liandong new sector water --zh 水务 --en Water`
    """
    from ops.newsector.names import CannotMake
    from ops.newsector.plan import plan
    from ops.newsector.writing import write

    try:
        changes = plan(root.resolve(), name, zh or name, en or name.capitalize())
        write(changes)
    except CannotMake as error:
        fail(str(error), USAGE)
    except OSError as error:
        fail(f"Nothing was written: {error}")
    for path in changes:
        typer.echo(f"  {path.relative_to(root.resolve())}")
    pages = subprocess.run([sys.executable, "-m", "ops.check", "--write"], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    typer.echo("  docs and compose.yaml are in step" if pages.returncode == 0 else "  docs and compose.yaml are not in step yet; run: make docs")
    typer.echo(_NEXT.format(name=name))


_NEXT = """
Next · 下一步
  make test TESTS=tests/{name}     its tests, the contract among them · 运行测试（含契约检查）
  make run                         it appears at the hub · 启动后出现在枢纽
  liandong conform {name}          tests the running service against the contract · 按契约检查
  make check                       format, lint, types, import rules, migrations
Then replace the example · 然后替换示例: services/{name}/sites/domain.py (the rules), models.py and migrations/ (the tables),
datasets.py (what is shared, with its legal basis), shared/events/{name}.py. See docs/adding-a-sector.md."""
