"""The machine clients of a city and their secrets, in a file that the hub takes in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.secretfiles import write_private_json
from ops.services import declared
from services.hub.access.clients_file import default_clients


def kept_clients(path: Path, city: str, services: Sequence[str]) -> dict[str, str]:
    """Add the default clients that are not in the file yet; those that are keep their secrets. The secret of each."""
    known: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    names = {client["id"] for client in known}
    missing = [client for client in default_clients(city, {name: declared(name).asks for name in services}) if client["id"] not in names]
    if missing:
        write_private_json(path, [*known, *missing])
    return {client["id"]: client["secret"] for client in [*known, *missing]}
