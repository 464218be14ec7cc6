"""`liandong query` against a hub of canned answers: what is asked, what is shown, how it ends."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.secretfiles import write_private_json

COVERAGE: dict[str, Any] = {
    "complete": False,
    "as_of": "2026-11-22T07:59:58Z",
    "suppressed": 3,
    "sources": [
        {"source": "430300/fire", "dataset": "fire.calls", "status": "ok", "rows": 17, "elapsed_ms": 12},
        {"source": "430100/fire", "dataset": "fire.calls", "status": "timeout", "elapsed_ms": 2000, "problem": {"title": "Source did not answer in time"}},
    ],
}
AGGREGATE = {
    "columns": [{"name": "district"}, {"name": "p90", "unit": "s"}],
    "rows": [["430302", 412.25], [None, None], ["[bold]not markup[/]", 1.0]],
    "coverage": COVERAGE,
}
RECORDS = {"features": [{"id": "a1", "properties": {"kind": "fire"}}, {"id": "a2", "properties": {"score": 9}}], "coverage": COVERAGE | {"complete": True}}
COLLECTIONS = {"collections": [{"id": "fire.calls", "title": "Calls for service"}]}


class Hub(BaseHTTPRequestHandler):
    """Answers every token request and three questions; remembers what it was asked."""

    asked: ClassVar[list[tuple[str, list[tuple[str, str]], str | None]]] = []
    statements: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/sql":
            Hub.statements.append(json.loads(content))
            wrong = {"title": "No such column", "detail": "There is no column 'kindd' here.", "line": 2, "column": 3, "remedy": {"en": "DESCRIBE", "zh": "列"}}
            self._answer(*((400, wrong) if "kindd" in Hub.statements[-1]["sql"] else (200, AGGREGATE)))
        else:
            self._answer(200, {"access_token": "a.b.c"})

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        Hub.asked.append((parts.path, parse_qsl(parts.query), self.headers["authorization"]))
        known = {"/collections": COLLECTIONS, "/collections/fire.calls/items": RECORDS, "/collections/fire.calls/aggregate": AGGREGATE}
        if parts.path in known:
            self._answer(200, known[parts.path])
        else:
            self._answer(404, {"type": "/problems/not-found", "title": "Not found", "detail": "There is no dataset fire.callz."})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A folder whose `run.json` names the canned hub."""
    Hub.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        services = {"hub": {"url": f"http://127.0.0.1:{server.server_port}"}}
        clients = {"analyst": {"id": "analyst", "secret": "x"}}
        run = {"city": "430300", "pid": os.getpid(), "started": psutil.Process().create_time(), "services": services, "clients": clients}
        write_private_json(tmp_path / "run.json", run)
        yield tmp_path
        server.shutdown()


def query(var: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["query", *arguments, "--var-dir", str(var)], env={"COLUMNS": "200"})


def test_an_aggregate_is_shown_with_who_answered_and_who_did_not(var: Path) -> None:
    shown = query(
        var, "fire.calls", "-m", "p90:quantile(response_s,0.9)", "-b", "area:district", "-s", "-p90", "--within", "3", "--from", "2026-11-01T00:00:00+08:00"
    )
    assert shown.exit_code == 0
    for text in (
        "p90 [s]",
        "412.25",
        "–",
        "[bold]not markup[/]",
        "incomplete",
        "3 small groups suppressed",
        "430100/fire fire.calls: timeout",
        "not answer in time",
    ):
        assert text in shown.stdout
    path, parameters, authorization = Hub.asked[-1]
    assert (path, authorization) == ("/collections/fire.calls/aggregate", "Bearer a.b.c")
    assert set(parameters) == {
        ("measure", "p90:quantile(response_s,0.9)"),
        ("by", "area:district"),
        ("sortby", "-p90"),
        ("limit", "50"),
        ("deadline_ms", "3000"),
        ("from", "2026-11-01T00:00:00+08:00"),
    }


def test_rows_are_shown_with_all_their_fields(var: Path) -> None:
    shown = query(var, "fire.calls", "-n", "2", "--from", "2026-11-01T00:00:00Z", "-f", "kind='fire'")
    assert shown.exit_code == 0
    for text in ("kind", "score", "a1", "a2", "2 rows", "complete"):
        assert text in shown.stdout
    assert dict(Hub.asked[-1][1]) == {"limit": "2", "datetime": "2026-11-01T00:00:00Z/..", "filter": "kind='fire'"}


def test_rows_with_more_fields_than_the_terminal_has_room_for_are_shown_field_by_field(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {"id": "a1", **{f"field_number_{number}": f"value {number}" for number in range(12)}}
    monkeypatch.setitem(RECORDS, "features", [{"id": "a1", "properties": wide}])
    shown = CliRunner().invoke(app, ["query", "fire.calls", "--var-dir", str(var)], env={"COLUMNS": "80"}).stdout
    assert re.search(r"field_number_11 +value 11 *$", shown, re.MULTILINE)
    assert len(re.findall(r"^ *id +a1", shown, re.MULTILINE)) == 1, "told once, though it is a field, too"
    assert "1 row\n" in shown


def test_without_a_dataset_it_lists_what_can_be_asked(var: Path) -> None:
    assert "Calls for service" in query(var).stdout


@pytest.mark.parametrize(("measure", "code"), [(["-m", "calls:count"], 3), ([], 0)])
def test_strict_ends_with_3_when_a_source_is_missing(var: Path, measure: list[str], code: int) -> None:
    assert query(var, "fire.calls", *measure, "--strict").exit_code == code


def test_json_is_the_answer_itself(var: Path) -> None:
    assert json.loads(query(var, "fire.calls", "-m", "calls:count", "--json").stdout) == AGGREGATE


def test_a_problem_is_told_in_its_own_words(var: Path) -> None:
    shown = query(var, "fire.callz")
    assert shown.exit_code == 1
    assert "There is no dataset fire.callz." in shown.stderr


def test_without_a_city_it_ends_with_4_and_says_how_to_start_one(tmp_path: Path) -> None:
    shown = query(tmp_path, "fire.calls")
    assert shown.exit_code == 4
    assert "make run" in shown.stderr


def test_a_statement_goes_to_sql_and_what_is_wrong_is_marked(var: Path) -> None:
    shown = query(var, "SELECT kind FROM fire.calls", "-n", "7", "--within", "3")
    assert (shown.exit_code, "412.25" in shown.stdout, "incomplete" in shown.stdout) == (0, True, True)
    assert Hub.statements[-1] == {"sql": "SELECT kind FROM fire.calls", "limit": 7, "deadline_ms": 3000}
    wrong = query(var, "SELECT\n  kindd FROM fire.calls")
    assert wrong.exit_code == 1
    assert "    kindd FROM fire.calls\n    ^\nDESCRIBE\n列" in wrong.stderr
