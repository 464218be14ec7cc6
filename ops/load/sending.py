"""Sends batches to a service so that each takes effect once: with a key, again after a lost connection, with a token that is renewed in time."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ops.hub import Refused, get_token

AGAIN = frozenset({408, 429, 502, 503, 504})
"""Answers after which the same request may succeed."""
PATIENCE_S = 120.0
"""How long one batch is tried; a service that was killed is back well before."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
RENEW_BEFORE_S = 60.0


class CannotLoad(Exception):
    """A batch was refused as a whole, or nobody answers; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """A batch as it crosses HTTP; sent again it is the same to the byte."""

    method: str
    path: str
    body: bytes
    media_type: str
    key: str
    correct: bool = False


class Sender:
    """Requests of one client to one service. Threads may share it."""

    def __init__(self, city: Mapping[str, Any], service: str, *, patience_s: float = PATIENCE_S) -> None:
        """`city` is the content of `run.json`."""
        if service not in city["services"]:
            raise CannotLoad(f"This city runs no service {service!r}; it runs {', '.join(city['services'])}.")
        self.retries = 0
        self._url = city["services"][service]["url"]
        self._patience_s = patience_s
        self._access = _Access(dict(city), service)
        self._http = httpx.Client(trust_env=False, timeout=httpx.Timeout(60, connect=5))
        self._stopped = threading.Event()

    def send(self, request: Request) -> dict[str, Any]:
        """The service's answer. Raises `CannotLoad` if the batch is refused as a whole, or nobody answered in time."""
        end = time.monotonic() + self._patience_s
        pause, renewed = FIRST_PAUSE_S, False
        while not self._stopped.is_set():
            answer, trouble = self._attempt(request)
            if answer is not None and answer.is_success:
                return _counted(answer)
            if answer is not None and answer.status_code == httpx.codes.UNAUTHORIZED and not renewed:
                renewed = True
                self._access.forget()
                continue
            if answer is not None and answer.status_code not in AGAIN:
                raise CannotLoad(f"{request.method} {request.path} was refused: {answer.status_code} {_explained(answer)}")
            wait = max(pause * random.uniform(0.5, 1), _asked_to_wait(answer))
            if time.monotonic() + wait > end:
                raise CannotLoad(f"{self._url} did not take a batch within {self._patience_s:.0f} s: {trouble}")
            self.retries += 1
            self._stopped.wait(wait)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        raise CannotLoad("The load was stopped.")

    def stop(self) -> None:
        """Let no request be tried again."""
        self._stopped.set()

    def close(self) -> None:
        self._http.close()

    def _attempt(self, request: Request) -> tuple[httpx.Response | None, str]:
        """An answer, or None where there was none, and what to say of it if it is no good."""
        try:
            headers = {"Authorization": f"Bearer {self._access.token()}", "Content-Type": request.media_type, "Idempotency-Key": request.key}
            parameters = {"correct": "true"} if request.correct else {}
            answer = self._http.request(request.method, self._url + request.path, params=parameters, content=request.body, headers=headers)
        except httpx.TransportError as error:
            return None, f"the connection failed ({str(error) or type(error).__name__})"
        except _NoTokenYet as error:
            return None, str(error)
        return answer, f"{answer.status_code} {_explained(answer)}"


class _NoTokenYet(Exception):
    """The hub is away, or busy."""


@dataclass(slots=True)
class _Access:
    """A token for the service, renewed before it expires."""

    city: dict[str, Any]
    service: str
    _token: str = ""
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def token(self) -> str:
        """Raises `CannotLoad` if the hub refuses, `_NoTokenYet` if it may give one later."""
        with self._lock:
            if time.monotonic() > self._until:
                client = "admin" if self.service == "hub" else f"{self.service}-system"
                try:
                    found = get_token(self.city, client, f"{self.city['city']}/{self.service}")
                except Refused as error:
                    if error.status in AGAIN or isinstance(error.__cause__, httpx.TransportError):
                        raise _NoTokenYet(f"the hub gives no token: {error}") from error
                    raise CannotLoad(f"The hub gave no token to {client}: {error}") from error
                self._token, self._until = found["access_token"], time.monotonic() + found["expires_in"] - RENEW_BEFORE_S
            return self._token

    def forget(self) -> None:
        with self._lock:
            self._until = 0.0


def _counted(answer: httpx.Response) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
        if found.keys() >= {"taken", "corrected", "duplicates", "rejected", "errors", "unlisted_errors"}:
            return found
    except (ValueError, AttributeError):
        pass
    raise CannotLoad(f"{answer.url} does not answer as a bulk load does: {answer.text[:200]}")


def _asked_to_wait(answer: httpx.Response | None) -> float:
    """Seconds of a Retry-After."""
    stated = answer.headers.get("retry-after", "") if answer is not None else ""
    return float(stated) if stated.isdigit() else 0.0


def _explained(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{body.get('title', '')}: {body.get('detail', '')} {body.get('remedy') or ''}".strip(" :")
    except (ValueError, AttributeError):
        return answer.text[:300]
