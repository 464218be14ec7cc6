"""Files that only their owner may read: generated passwords and whatever else must not leak."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from shared import private_files


def private_folder(folder: Path) -> Path:
    """Make a folder with mode 0700 and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_private(path: Path, text: str) -> None:
    """A private file of text: all of the old one or all of the new, even after a loss of power."""
    private_files.write_private(path, text.encode())


def write_private_json(path: Path, content: Any) -> None:
    write_private(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def kept_passwords(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The passwords (256 random bits each) kept in a file, one made for each name that has none yet."""
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(32) for name in missing}
        private_folder(path.parent)
        write_private_json(path, known)
    return known
