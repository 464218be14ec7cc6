"""`liandong status`: what runs, how it is, and how much memory it takes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from ops.commands.options import FAILED, VarDir, running_city
from ops.place import Place
from ops.probe import ask

BACKLOG = "liandong_outbox_backlog{"


def status(var_dir: VarDir = Path("var"), as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False) -> None:
    """Show every process of the running city: address, health, memory, events not yet published.

    Ends with 0 if all services are ready, 1 if one is not, 4 if no city runs.

    - `liandong status`
    - `liandong status --json | python3 -m json.tool`
    """
    city = running_city(var_dir)
    with ThreadPoolExecutor() as pool:
        services = list(pool.map(lambda item: _service(*item), city["services"].items()))
    servers = [{"name": name, "pid": pid, "memory_mib": memory_mib(pid)} for name, pid in _servers(city).items() if pid]
    supervisor = {"name": "supervisor", "pid": city["pid"], "memory_mib": memory_mib(city["pid"], children=False)}
    demo = _demo(city, Place(var_dir.resolve()))
    servers += [{"name": "demo", "pid": city["demo_pid"], "memory_mib": memory_mib(city["demo_pid"])}] if demo else []
    total = round(sum(row["memory_mib"] or 0 for row in (*services, *servers, supervisor)), 1)
    report = {"city": city["city"], "services": services, "servers": servers, "supervisor": supervisor, "demo": demo, "memory_mib": total}
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _show(report)
    if any(service["health"] != "ready" for service in services):
        raise typer.Exit(FAILED)


def memory_mib(pid: int, *, children: bool = True) -> float | None:
    """Proportional set size of a process and what it started, in MiB; None where the machine does not tell."""
    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if children else ())]
        return round(sum(float(member.memory_full_info().pss) for member in family) / 2**20, 1)
    except (psutil.Error, AttributeError):
        return None


def _servers(city: dict[str, Any]) -> dict[str, int | None]:
    return {"postgres": city["postgres"]["pid"], "redis": city["redis_pid"]}


def _demo(city: dict[str, Any], place: Place) -> dict[str, Any] | None:
    """What the demo has sent to the services and could not send; None if this city has none."""
    if city.get("demo_pid") is None:
        return None
    try:
        told: dict[str, Any] = json.loads(place.demo_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = {}
    counts = told.get("services", {}).values()
    return {"pid": city["demo_pid"], "speed": told.get("speed"), **{what: sum(of.get(what, 0) for of in counts) for what in ("sent", "dropped", "refused")}}


def _service(name: str, told: dict[str, Any]) -> dict[str, Any]:
    code, body = ask(f"{told['url']}/readyz")
    health = body["status"] if code and isinstance(body, dict) and "status" in body else "silent"
    failing = {check: said for check, said in body.get("checks", {}).items() if said != "ok"} if isinstance(body, dict) else {"answer": str(body)}
    return {
        "name": name,
        "url": told["url"],
        "pid": told["pid"],
        "health": health,
        "failing": failing,
        "memory_mib": memory_mib(told["pid"]),
        "backlog": _backlog(told["url"]),
    }


def _backlog(url: str) -> int | None:
    """Events recorded but not yet published, by the service's own count."""
    code, text = ask(f"{url}/metrics")
    lines = [line for line in str(text).splitlines() if line.startswith(BACKLOG)] if code == 200 else []
    return int(float(lines[0].rsplit(" ", 1)[1])) if lines else None


def _show(report: dict[str, Any]) -> None:
    table = Table("service", "address", "pid", "health", "backlog", "MiB", title=f"city {report['city']}", title_justify="left")
    for row in report["services"]:
        colour = {"ready": "green", "degraded": "yellow"}.get(row["health"], "red")
        failing = "".join(f"\n{check}: {said}" for check, said in row["failing"].items())
        backlog = "–" if row["backlog"] is None else str(row["backlog"])
        table.add_row(row["name"], row["url"], str(row["pid"]), f"[{colour}]{row['health']}[/]{failing}", backlog, str(row["memory_mib"]))
    for row in (*report["servers"], report["supervisor"]):
        table.add_row(row["name"], "", str(row["pid"]), "", "", str(row["memory_mib"]))
    if report["demo"]:
        told = report["demo"]
        table.add_row("", f"demo facts sent {told['sent']}, dropped {told['dropped']}, refused {told['refused']}; speed {told['speed']:g}", "", "", "", "")
    table.add_section()
    table.add_row("in all", "", "", "", "", str(report["memory_mib"]))
    Console().print(table)
