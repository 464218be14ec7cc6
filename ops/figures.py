"""Time to ready and memory of a city that just started, first start and second: `python -m ops.figures [seconds that make install took]`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ops.place import VARIABLES
from ops.probe import ask
from ops.services import ROOT

READY_LIMIT_S, MEMORY_LIMIT_MIB = 15, 1800
"""For eight services, the databases and the demo together."""
CLONE_TO_CITY_LIMIT_S = 180
PATIENCE_S = 120
SETTLE_S = 5
PORT_BASE = "31200"


def measure(var: Path) -> tuple[float, float, float]:
    """Seconds until the city is ready, and until its page is there and something has happened in the demo; MiB (PSS) it takes then."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}
    environment = {**kept, "VAR_DIR": str(var), "PORT_BASE": PORT_BASE}
    command = [sys.executable, "-m", "ops.cli"]
    began = time.monotonic()
    city = subprocess.Popen([*command, "up"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not (var / "run.json").exists():
            if city.poll() is not None or time.monotonic() - began > PATIENCE_S:
                sys.exit(f"the city does not start; see {var / 'log' / 'liandong.log'}")
            time.sleep(0.05)
        ready = time.monotonic() - began
        while not _lives(var) and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.1)
        lives = time.monotonic() - began
        time.sleep(SETTLE_S)
        status = subprocess.run([*command, "status", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return ready, lives, float(json.loads(status.stdout)["memory_mib"])
    finally:
        city.send_signal(signal.SIGTERM)
        city.wait(PATIENCE_S)


def _lives(var: Path) -> bool:
    """Whether the hub gives its page and the demo has reported something."""
    try:
        sent = json.loads((var / "demo.json").read_text(encoding="utf-8"))["services"].values()
        hub = json.loads((var / "run.json").read_text(encoding="utf-8"))["services"]["hub"]["url"]
    except (OSError, ValueError, KeyError):
        return False
    return any(counts.get("sent") for counts in sent) and ask(f"{hub}/")[0] == 200


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="liandong-figures-") as folder:
        for name in ("first", "second"):
            ready, lives, memory = measure(Path(folder) / "var")
            sys.stdout.write(f"{name} start: ready after {ready:.1f} s (limit {READY_LIMIT_S}), memory {memory:.0f} MiB PSS (limit {MEMORY_LIMIT_MIB})\n")
            if name == "first" and len(sys.argv) > 1:
                whole = float(sys.argv[1]) + lives
                sys.stdout.write(f"from the clone to the living city: {whole:.0f} s, of which make install {sys.argv[1]} s (limit {CLONE_TO_CITY_LIMIT_S})\n")


if __name__ == "__main__":
    main()
