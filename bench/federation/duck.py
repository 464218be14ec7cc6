"""DuckDB as a peer: an environment of its own, and the process that runs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("duckdb==1.5.5", "duckdb-extension-postgres-scanner==1.5.5")
SETTINGS = ("SET pg_connection_limit = 8",)
"""The rest is best as it is: parallel scans by ctid and pushed-down filters are on."""


@dataclass(frozen=True, slots=True)
class Duck:
    """A running DuckDB that has attached the databases."""

    process: subprocess.Popen[str]

    def ask(self, sql: str, *, rows: bool = False) -> tuple[float, Any]:
        """Seconds until the rows were in Python's hands, and the rows or how many there were."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"sql": sql, "rows": rows}) + "\n")
        self.process.stdin.flush()
        found = self._read()
        return found["seconds"], found["rows"]

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("DuckDB ended; its message is above.")
        return json.loads(line)


def environment(folder: Path) -> tuple[Path, Path]:
    """The interpreter of the environment with DuckDB, made if it is not there, and the file of the extension."""
    place = folder / "duckdb"
    python = place / "bin" / "python"
    if not (found := sorted(place.rglob("postgres_scanner.duckdb_extension"))):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
        subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", *PACKAGES], check=True)
        found = sorted(place.rglob("postgres_scanner.duckdb_extension"))
    return python, found[0]


@contextmanager
def duckdb(folder: Path, databases: Mapping[str, str]) -> Iterator[Duck]:
    """A DuckDB process with the databases attached under their names."""
    python, extension = environment(folder)
    given = {"extension": str(extension), "databases": dict(databases), "threads": os.cpu_count(), "settings": SETTINGS}
    command = [str(python), str(Path(__file__).with_name("duck_peer.py")), json.dumps(given)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        peer = Duck(process)
        peer._read()
        yield peer
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
