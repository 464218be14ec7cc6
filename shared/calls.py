"""Questions of a service to the other services of its city, in its own name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from shared.config import MIB, Settings
from shared.passage import Passage, starting
from shared.source_failures import SourceDenied, SourceFailure

if TYPE_CHECKING:
    from shared.client import Answer, SourceClient

RENEW_S = 300.0
"""A token is renewed once it lives no longer than this, and serves on while the hub is away."""
TOKEN_WAIT_S = 2.0


class Calls:
    """Asks services by name: bounded, with a token for that one service, cut off while a service keeps failing.

    The service's own client is `<service>-service`; what it may ask is in `Service.asks`.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient) -> None:
        self._settings, self._http = settings, http
        self._sources: SourceClient | None = None
        """Made for the first question: most services have none, and do without the 90 ms and 8 MB of its library."""
        self._tokens: dict[str, tuple[str, float]] = {}
        self._asking: dict[str, asyncio.Lock] = {}
        self._renewing: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        for task in self._renewing:
            task.cancel()
        if self._sources is not None:
            await self._sources.aclose()

    async def ask(
        self,
        service: str,
        path: str,
        *,
        within: float | Passage,
        method: str = "GET",
        params: Sequence[tuple[str, str]] = (),
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        limit_bytes: int = 4 * MIB,
    ) -> Answer:
        """The whole answer of a service of this city (`hub`, `traffic`), or a `SourceFailure` that says why there is none.

        `within`: seconds for a question of this service's own accord, or the passage of the request that it serves.
        """
        name, url = f"{self._settings.city}/{service}", self._address(service)
        passage = within if isinstance(within, Passage) else starting(self._settings.audience, within)
        if self._sources is None:
            from shared.client import SourceClient

            self._sources = SourceClient()
        token = await self._token(service, passage)
        try:
            return await self._sources.ask(
                name, url + path, passage, token=token, method=method, params=params, json=json, headers=headers, limit_bytes=limit_bytes
            )
        except SourceDenied:
            self._tokens.pop(service, None)  # revoked, or signed with a key that is no longer known: the next question asks for another
            raise

    def _address(self, service: str) -> str:
        if service == "hub":
            return self._settings.hub_url.rstrip("/")
        try:
            return self._settings.addresses[service].rstrip("/")
        except KeyError:
            raise SourceFailure(f"The settings do not say where {service} is (`addresses`).") from None

    async def _token(self, service: str, passage: Passage) -> str:
        token, left_s = self._kept(service)
        if token is None:
            async with self._asking.setdefault(service, asyncio.Lock()):
                token, _ = self._kept(service)
                if token is None:
                    await self._fetch(service, min(TOKEN_WAIT_S, passage.remaining_s))
                    return self._tokens[service][0]
        elif left_s < RENEW_S and not self._asking.setdefault(service, asyncio.Lock()).locked():
            task = asyncio.create_task(self._renew(service))
            self._renewing.add(task)
            task.add_done_callback(self._renewing.discard)
        return token

    def _kept(self, service: str) -> tuple[str | None, float]:
        token, ends = self._tokens.get(service, (None, 0.0))
        left_s = ends - time.monotonic()
        return (token, left_s) if left_s > 0 else (None, 0.0)

    async def _renew(self, service: str) -> None:
        async with self._asking[service]:
            try:
                await self._fetch(service, TOKEN_WAIT_S)
            except SourceFailure:
                return  # the kept one still holds for minutes, and the next question tries again

    async def _fetch(self, service: str, wait_s: float) -> None:
        secret = self._settings.client_secret
        if secret is None:
            raise SourceFailure(f"{self._settings.audience} has no `client_secret`, so it cannot ask other services.")
        form = {
            "grant_type": "client_credentials",
            "client_id": f"{self._settings.service}-service",
            "client_secret": secret.get_secret_value(),
            "resource": f"{self._settings.city}/{service}",
        }
        try:
            async with asyncio.timeout(wait_s):
                answer = await self._http.post(f"{self._settings.hub_url.rstrip('/')}/oauth/token", data=form)
                found = orjson.loads(answer.content)
                token, life_s = str(found["access_token"]), float(found["expires_in"])
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise SourceFailure(f"The hub gives no token for {service}: {type(error).__name__}.") from error
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise SourceDenied(f"The hub refuses a token for {service}: status {answer.status_code}.") from error
        self._tokens[service] = token, time.monotonic() + life_s - 5
