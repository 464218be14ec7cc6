"""Commands of the pages: found, moved to the ports of a city under test, run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.services import PORT_OFFSETS, ROOT
from tests.ops.running_city import RunningCity

ACTIVATE = ". .venv/bin/activate\n"


def commands(page: Path) -> list[str]:
    """The blocks that are marked as shell; blocks marked as text are shown, not run."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def run(script: str, folder: Path, city: RunningCity, others: Mapping[int, RunningCity] | None = None) -> str:
    """What the commands print, run one after another as a user would, except for the ports; `AssertionError` if one fails.

    `others` are further cities by the port base that the page gives them.
    """
    for base, at in {8000: city, **(others or {})}.items():
        for offset in set(PORT_OFFSETS.values()):
            script = script.replace(f"127.0.0.1:{base + offset}", f"127.0.0.1:{at.port_base + offset}")
    environment = city.environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", PYTHONPATH=str(ROOT))
    command = ["bash", "-euo", "pipefail", "-c", script.replace(ACTIVATE, "")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
