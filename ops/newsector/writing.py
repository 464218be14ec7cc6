"""Writes a plan: all of it, or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write(changes: Mapping[Path, str]) -> None:
    """Write every file whole; whatever fails or interrupts, what had been written is taken back."""
    before = {path: path.read_bytes() if path.exists() else None for path in changes}
    folders: list[Path] = []
    try:
        for path, content in changes.items():
            _make_folders(path.parent, folders)
            part = path.with_name(f"{path.name}.part")
            try:
                part.write_text(content, encoding="utf-8")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except BaseException:
        _take_back(before, folders)
        raise


def _make_folders(folder: Path, made: list[Path]) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _take_back(before: Mapping[Path, bytes | None], folders: list[Path]) -> None:
    for path, content in before.items():
        if content is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != content:
            path.write_bytes(content)
    for folder in reversed(folders):
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - only if it is empty
