"""Facts on their way to the services: tokens renewed, refusals counted, and nothing kept for a service that is away."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import Any

import httpx

from ops.demo.happenings import Request

ANSWERS_WITHIN_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
TOKEN_SPARE_S = 90.0


class Away(Exception):
    """A service, or the hub that gives tokens for it, does not answer."""


class Sender:
    """One city's services. What is due while a service is away is dropped and counted; it is asked again after growing pauses."""

    def __init__(self, run: dict[str, Any], client: httpx.AsyncClient) -> None:
        self.run, self._client = run, client
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in run["services"] if name != "hub"}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._pauses: dict[str, float] = {}
        self._away_until: dict[str, float] = {}

    async def ask(self, service: str, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """The JSON of an answer; None if the service refuses or is away."""
        counts = self.counts[service]
        if time.monotonic() < self._away_until.get(service, 0.0):
            counts["dropped"] += 1
            return None
        try:
            answer = await self._asked(service, method, path, body, params)
        except (Away, httpx.HTTPError, KeyError, ValueError) as error:
            counts["dropped"] += 1
            self._rest(service, error)
            return None
        if self._pauses.pop(service, None):
            sys.stdout.write(f"{service} answers again; {counts['dropped']} facts dropped so far\n")
        return answer

    async def send(self, request: Request) -> Any:
        """Deliver facts; rows that are there already are counted as such, so that nobody takes them for new ones."""
        answer = await self.ask(request.service, request.method, request.path, request.body)
        counts = self.counts[request.service]
        if isinstance(answer, dict) and "taken" in answer:
            counts["sent"] += answer["taken"] + answer.get("corrected", 0)
            counts["refused"] += answer["rejected"]
        elif answer is not None:
            counts["sent"] += 1
        return answer

    async def _asked(self, service: str, method: str, path: str, body: Any, params: dict[str, Any]) -> Any:
        url = self.run["services"][service]["url"] + path
        for last in (False, True):
            headers = {"Authorization": f"Bearer {await self._token(service)}"}
            answer = await self._client.request(method, url, json=body, params=params or None, headers=headers)
            if answer.status_code != httpx.codes.UNAUTHORIZED or last:
                break
            self._tokens.pop(service, None)
        if answer.is_success:
            return answer.json()
        if answer.is_server_error or answer.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.UNAUTHORIZED):
            raise Away(f"{answer.status_code} {path}")
        self.counts[service]["refused"] += 1
        return None

    async def _token(self, service: str) -> str:
        kept, until = self._tokens.get(service, ("", 0.0))
        if time.monotonic() < until:
            return kept
        known = self.run["clients"][f"{service}-system"]
        form = {"grant_type": "client_credentials", "client_id": known["id"], "client_secret": known["secret"]}
        answer = await self._client.post(f"{self.run['services']['hub']['url']}/oauth/token", data={**form, "resource": f"{self.run['city']}/{service}"})
        if not answer.is_success:
            raise Away(f"the hub gives no token: {answer.status_code}")
        told = answer.json()
        self._tokens[service] = told["access_token"], time.monotonic() + told["expires_in"] - TOKEN_SPARE_S
        return self._tokens[service][0]

    def _rest(self, service: str, error: Exception) -> None:
        pause = min(LONGEST_PAUSE_S, 2 * self._pauses.get(service, FIRST_PAUSE_S / 2))
        if service not in self._pauses:
            sys.stdout.write(f"{service} is away, facts for it are dropped until it answers: {type(error).__name__} {error}\n")
        self._pauses[service], self._away_until[service] = pause, time.monotonic() + pause
