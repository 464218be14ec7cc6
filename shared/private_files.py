"""Files that only their owner may read: keys and secrets. A reader sees a whole file or none, even after a loss of power."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Put a file with mode 0600 in place of what was there."""
    fresh = _beside(path, content)
    try:
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def make_private(path: Path, content: bytes) -> None:
    """Put a file with mode 0600 in place unless there is one: of two processes that start at once, one makes it for both."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = _beside(path, content)
    try:
        with suppress(FileExistsError):  # the other was first, and what it made is as good
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()


def _beside(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
