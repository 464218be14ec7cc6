"""The city that runs on this machine: where its hub is, and the credentials that it wrote down for its own user."""

from __future__ import annotations

import json
import os
from pathlib import Path

from liandong.problems import Unavailable


def credentials(folder: str | Path | None, client: str) -> tuple[str, str, str]:
    """The hub's address, and a client's id and secret, from `run.json` in its folder: VAR_DIR, or `var` here. It is there while the city is ready."""
    file = Path(folder or os.environ.get("VAR_DIR") or "var") / "run.json"
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        known = run["clients"][client]
        return run["services"]["hub"]["url"], known["id"], known["secret"]
    except FileNotFoundError as error:
        raise Unavailable(f"No city is ready here: there is no {file}. Start one with `make run`, or name its folder.") from error
    except KeyError as error:
        raise Unavailable(f"{file} knows no client {client!r}.") from error
