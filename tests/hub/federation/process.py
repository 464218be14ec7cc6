"""A sector as a process of its own, which a test may stop and kill: `uvicorn tests.hub.federation.process:app`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from ops.launching import free_port
from shared.config import Settings
from shared.service import create_app
from tests.hub.federation.sectors import SERVICES

service = SERVICES[os.environ.get("LIANDONG_TEST_SECTOR", "harbour")]
app = create_app(service)


@contextmanager
def in_its_own_process(settings: Settings, folder: Path, app: str = "tests.hub.federation.process:app") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its address, once it answers."""
    values = {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in settings}
    config = folder / f"{settings.service}.json"
    config.write_text(json.dumps(values, default=str))
    config.chmod(0o600)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--log-level", "warning"]
    with (folder / f"{settings.service}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, "LIANDONG_CONFIG": str(config), "LIANDONG_TEST_SECTOR": settings.service}, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{url}/healthz", trust_env=False)
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield process, url
    finally:
        process.kill()
        process.wait(10)
