"""A running city, as the tour asks it: every client by its own token."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from ops.hub import Refused, call, get_token
from ops.place import Place
from ops.runfile import read_run_file

TOKEN_LASTS_S = 600.0
ANSWERS_WITHIN_S = 15.0


class RunningCity:
    """What `run.json` says, and questions to its services."""

    def __init__(self, var: Path, run: dict[str, Any]) -> None:
        self.var, self.run = var, run
        self.code: str = run["city"]
        self._client = httpx.Client(trust_env=False)
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    def close(self) -> None:
        self._client.close()

    def ask(self, client: str, service: str, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The JSON of an answer; raises `Refused`."""
        request = {"json": body, "params": params or None, "timeout_s": ANSWERS_WITHIN_S, "client": self._client}
        return call(method, self.url(service) + path, token=self._token(client, service), **request)

    def sector(self, service: str, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """As the sector's own system."""
        return self.ask(f"{service}-system", service, method, path, body, **params)

    def rows(self, client: str, service: str, dataset: str, **params: Any) -> list[dict[str, Any]]:
        """The rows of a dataset."""
        answer = self.ask(client, service, "GET", f"/collections/{dataset}/items", **params)
        return [{"geometry": each.get("geometry"), **each["properties"]} for each in answer["features"]]

    def url(self, service: str) -> str:
        return str(self.run["services"][service]["url"])

    def has(self, service: str) -> bool:
        return service in self.run["services"]

    def kill(self, service: str) -> int:
        """End a service's process at once, as a fault would; the supervisor starts it again. Its process id."""
        run = read_run_file(Place(self.var)) or self.run
        pid: int = run["services"][service]["pid"]
        try:
            process = psutil.Process(pid)
            if f"services.{service}.app:app" not in process.cmdline():
                raise Refused(f"process {pid} is not {service} any more")
            process.kill()
        except psutil.Error as error:
            raise Refused(f"{service} could not be killed: {error}") from error
        return pid

    def _token(self, client: str, service: str) -> str:
        kept, until = self._tokens.get((client, service), ("", 0.0))
        if time.monotonic() > until:
            kept = get_token(self.run, client, f"{self.code}/{service}")["access_token"]
            self._tokens[client, service] = kept, time.monotonic() + TOKEN_LASTS_S
        return kept


@contextmanager
def unbroken() -> Iterator[None]:
    """Ctrl-C waits until what is begun here is written down, so that it can be ended."""
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
