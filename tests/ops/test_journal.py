"""The log is readable, bounded, and survives a disk that takes no more."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ops import journal
from ops.journal import Journal, readable


def test_a_line_of_a_service_becomes_a_sentence() -> None:
    level, text, at = readable(
        '{"service": "fire", "event": "answered", "level": "warning", "timestamp": "2026-11-22T08:00:00Z", "status": 200, "route": "/a b"}'
    )
    assert (level, text) == ("warning", 'answered  status=200 route="/a b"')
    assert at.isoformat() == "2026-11-22T08:00:00+00:00"


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("{not json", "info", "{not json"),
        ('{"event": 7}', "info", '{"event": 7}'),
        ("15937:M 22 Nov 2026 11:12:23.379 # Valkey is now ready to exit", "warning", "Valkey is now ready to exit"),
        ("food_app@food ERROR:  permission denied for table areas", "error", "food_app@food permission denied for table areas"),
        ("Traceback (most recent call last):", "info", "Traceback (most recent call last):"),
    ],
)
def test_lines_of_others_are_taken_as_they_are(line: str, level: str, text: str) -> None:
    assert readable(line)[:2] == (level, text)


def test_a_row_that_came_twice_is_in_the_file_but_no_alarm_on_the_terminal(tmp_path: Path) -> None:
    written = Journal(tmp_path / "liandong.log", terminal := io.StringIO())
    for line in (
        'env_app@env ERROR:  duplicate key value violates unique constraint "observations_2026_11_pkey"',
        "env_app@env DETAIL:  Key (series) = (1) already exists.",
        "env_app@env STATEMENT:  COPY observations",
        "\tFROM STDIN",
        "env_app@env ERROR:  permission denied for table areas",
        "env_app@env STATEMENT:  SELECT 1",
        "LOG:  shutting down",
    ):
        written.take("postgres", line)
    written.close()
    shown = [line[13:].split()[-1] for line in terminal.getvalue().splitlines()]
    assert shown == ["areas", "1", "down"]
    assert "COPY observations" in (tmp_path / "liandong.log").read_text(encoding="utf-8")


def test_the_file_stays_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FILE_LIMIT", 20_000)
    written = Journal(tmp_path / "log" / "liandong.log", io.StringIO())
    for number in range(2_000):
        written.take("fire", f"line {number} {'x' * 100}")
    written.close()
    files = sorted((tmp_path / "log").iterdir())
    assert len(files) == 1 + journal.FILES_KEPT
    assert all(path.stat().st_size <= 20_000 for path in files)
    assert "line 1999" in (tmp_path / "log" / "liandong.log").read_text(encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_costs_lines_of_the_file_but_not_of_the_terminal(tmp_path: Path) -> None:
    terminal = io.StringIO()
    written = Journal(tmp_path / "liandong.log", terminal)
    written._file.close()
    written._file.stream = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - the journal closes it
    written.say("still here")
    written.close()
    assert "still here" in terminal.getvalue()


def test_requests_go_to_the_file_and_leave_the_terminal_to_what_a_person_must_see(tmp_path: Path) -> None:
    terminal = io.StringIO()
    written = Journal(tmp_path / "liandong.log", terminal)
    for event, level in (("answered", "info"), ("token issued", "info"), ("answered", "warning"), ("source is down", "warning")):
        written.take("hub", f'{{"event": "{event}", "level": "{level}", "route": "/sources"}}')
    written.close()
    assert (tmp_path / "liandong.log").read_text(encoding="utf-8").count("route=/sources") == 4
    assert [line.partition("hub")[2].strip() for line in terminal.getvalue().splitlines()] == [
        "warning: answered  route=/sources",
        "warning: source is down  route=/sources",
    ]


def test_while_services_start_only_what_is_grave_is_shown(tmp_path: Path) -> None:
    terminal = io.StringIO()
    written = Journal(tmp_path / "liandong.log", terminal)
    written.starting = True
    written.take("env", '{"event": "keys not refreshed", "level": "warning"}')
    written.take("env", '{"event": "unexpected", "level": "error"}')
    written.say("starting")
    written.starting = False
    written.take("env", '{"event": "areas not refreshed", "level": "warning"}')
    written.close()
    shown = [line.partition(" ")[2] for line in terminal.getvalue().splitlines()]
    assert [line.split(maxsplit=1)[1] for line in shown] == ["error: unexpected", "starting", "warning: areas not refreshed"]
    assert "keys not refreshed" in (tmp_path / "liandong.log").read_text(encoding="utf-8")


def test_the_last_words_of_a_child_are_kept_for_the_reason_of_its_end(tmp_path: Path) -> None:
    written = Journal(tmp_path / "liandong.log", io.StringIO())
    for number in range(100):
        written.take("fire", f"line {number}")
    words = written.last_words("fire").splitlines()
    written.close()
    assert words[-1] == "line 99"
    assert len(words) == 15
