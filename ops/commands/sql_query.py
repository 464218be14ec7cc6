"""`liandong query "SELECT …"`: one SELECT over all datasets, with a mark where the hub finds it wrong."""

from __future__ import annotations

import json
from typing import Any

import typer

from ops.commands.options import fail
from ops.hub import Refused, call


def is_sql(text: str) -> bool:
    """Whether the argument of `liandong query` is a statement and not a dataset, whose name is one word; a misspelt statement is one, too."""
    return len(text.split()) > 1


def ask_sql(hub: str, token: str, sql: str, **question: Any) -> dict[str, Any]:
    """The hub's answer to a statement; its problem, with the line and a mark below, and exit 1."""
    body = {"sql": sql, **{name: value for name, value in question.items() if value is not None}}
    try:
        answer: dict[str, Any] = call("POST", f"{hub}/sql", token=token, json=body, timeout_s=(question.get("deadline_ms") or 10_000) / 1000 + 10)
    except Refused as error:
        fail(f"{error}{_marked(sql, error.body)}")
    return answer


def _marked(sql: str, problem: Any) -> str:
    if not isinstance(problem, dict) or not isinstance(problem.get("line"), int):
        return ""
    remedy = problem.get("remedy") or {}
    lines = sql.splitlines() or [""]
    line = lines[min(problem["line"], len(lines)) - 1]
    told = "\n".join(str(remedy[language]) for language in ("en", "zh") if language in remedy)
    return f"\n  {line}\n  {' ' * (int(problem.get('column', 1)) - 1)}^\n{told}"


def show_explained(answer: dict[str, Any]) -> None:
    """What each source is asked, and what is computed here."""
    for scan in answer["scans"]:
        asked = {name: value for name, value in scan.items() if name not in ("scan", "dataset", "sources") and value is not None}
        typer.echo(f"{scan['scan']}: {scan['dataset']} of {', '.join(scan['sources'])}")
        typer.echo(f"  {json.dumps(asked, ensure_ascii=False)}")
    typer.echo(answer["rest"])
