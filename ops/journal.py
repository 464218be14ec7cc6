"""One readable log of all processes: to a file of bounded size, and but for the requests to the terminal."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

FILE_LIMIT = 10 * 1024 * 1024
FILES_KEPT = 2
LINE_LIMIT = 16 * 1024
REDIS_LINE = re.compile(r"^\d+:[A-Z] \d+ \w+ \d{4} [\d:.]+ (?P<level>[.*#-]) (?P<text>.*)$")
POSTGRES_LINE = re.compile(r"^(?P<context>.*?)(?P<level>WARNING|ERROR|FATAL|PANIC):  (?P<text>.*)$")
IDS = re.compile(r" (request_id|trace_id)=\S+")
"""Kept in the file; on the terminal only where something is wrong."""
WELL_KNOWN = ("event", "level", "timestamp", "service", "logger", "exception")
ROUTINE = ("answered", "token issued", "dataset met")
"""Every request, every token, every dataset of a start: in the file, not on the terminal, where they would bury what a person must see."""
GRAVE = ("error", "critical")
POSTGRES_BEGINS = re.compile(r"^\S* ?(LOG|WARNING|ERROR|FATAL|PANIC):  ")
"""The first line of what PostgreSQL says; DETAIL, CONTEXT and STATEMENT follow it."""
MET_BEFORE = "duplicate key value violates unique constraint"
"""A row that came twice: services try to append and merge where that fails, so it is no fault. Where it is one, the service says so itself."""
COLOURS = {"warning": "33", "error": "31", "critical": "31;1"}


class Journal:
    """Takes lines of children (JSON of `shared/log.py`, or plain text) and writes them readably."""

    def __init__(self, path: Path, terminal: TextIO | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._terminal = sys.stderr if terminal is None else terminal
        self._colour = self._terminal.isatty()
        self._file = _QuietFile(path, maxBytes=FILE_LIMIT, backupCount=FILES_KEPT, encoding="utf-8")
        path.chmod(0o600)
        self._last: dict[str, deque[str]] = {}
        self._met_before = False
        self.starting = False
        """While services wait for each other, their warnings are no news: only what is grave is shown."""

    def say(self, text: str, level: str = "info") -> None:
        """A line of the supervisor itself."""
        self._write("city", level, text, datetime.now(UTC))

    def take(self, source: str, line: str) -> None:
        """A line of a child."""
        level, text, at = readable(line[:LINE_LIMIT])
        if not text:
            return
        self._last.setdefault(source, deque(maxlen=15)).append(text)
        routine = (level == "info" and text.partition("  ")[0] in ROUTINE) or (source == "postgres" and self._expected(line))
        self._write(source, level, text, at, shown=not routine and (not self.starting or level in GRAVE))

    def _expected(self, line: str) -> bool:
        """Whether PostgreSQL tells of a row that came twice, in this line or in the one that it belongs to."""
        if POSTGRES_BEGINS.match(line):
            self._met_before = MET_BEFORE in line
        return self._met_before

    def last_words(self, source: str) -> str:
        """The newest lines of a child, to say why it ended."""
        return "\n".join(self._last.pop(source, ()))

    def show(self, text: str) -> None:
        """Print on the terminal only: what must not stay in a file."""
        with suppress(OSError):  # the terminal is gone; the city goes on
            self._terminal.write(text + "\n")
            self._terminal.flush()

    def close(self) -> None:
        with suppress(OSError):  # what a full disk did not take is lost
            self._file.close()

    def _write(self, source: str, level: str, text: str, at: datetime, *, shown: bool = True) -> None:
        line = f"{at.astimezone():%H:%M:%S.%f}"[:-3] + f" {source:<10} {'' if level == 'info' else level + ': '}{text}"
        self._file.emit(logging.LogRecord(source, logging.INFO, "", 0, f"{at:%Y-%m-%d}T{line}", None, None))
        if not shown:
            return
        colour = COLOURS.get(level)
        line = IDS.sub("", line) if level == "info" else line
        self.show(f"\x1b[{colour}m{line}\x1b[0m" if self._colour and colour else line)


class _QuietFile(RotatingFileHandler):
    """A full disk costs lines of the log, never the city."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Say nothing: the terminal has the line."""


def readable(line: str) -> tuple[str, str, datetime]:
    """Level, text and time of a line; a line that is not one of our JSON objects is taken as it is."""
    found: dict[str, Any] = {}
    if line.startswith("{"):
        with suppress(ValueError):
            found = json.loads(line)
    if not isinstance(found.get("event"), str):
        return (*_foreign(line.rstrip()), datetime.now(UTC))
    details = " ".join(f"{name}={_short(value)}" for name, value in found.items() if name not in WELL_KNOWN)
    exception = f"\n{found['exception']}" if found.get("exception") else ""
    text = f"{found['event']}{'  ' + details if details else ''}{exception}"
    try:
        at = datetime.fromisoformat(found["timestamp"])
    except (KeyError, TypeError, ValueError):
        at = datetime.now(UTC)
    return str(found.get("level", "info")), text, at if at.tzinfo else at.replace(tzinfo=UTC)


def _foreign(line: str) -> tuple[str, str]:
    """Level and text of a line that a server wrote in its own way."""
    if found := REDIS_LINE.match(line):
        return "warning" if found["level"] == "#" else "info", found["text"]
    if found := POSTGRES_LINE.match(line):
        return "warning" if found["level"] == "WARNING" else "error", f"{found['context']}{found['text']}"
    return "info", line


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(' "=\n') else text
