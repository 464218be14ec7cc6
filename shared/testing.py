"""What tests of any service need: tokens of a test issuer, and an application that runs."""

from __future__ import annotations

import asyncio
import io
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import OKPKey

from shared.certificates import trusted
from shared.tokens import ALGORITHM

ENDS_WITHIN_S = 60.0
"""How long an application may take to end: far longer than it does."""


class Issuer:
    """An issuer of access tokens whose key only the tests know."""

    def __init__(self, url: str = "http://127.0.0.1:9") -> None:
        self.url = url
        self.key = OKPKey.generate_key("Ed25519", {"kid": uuid.uuid4().hex, "use": "sig"})

    def trust(self, revoked_tokens: Sequence[str] = (), revoked_subjects: dict[str, int] | None = None) -> dict[str, Any]:
        """Keys and revocations in the form that services keep in `cache_dir/trust.json`."""
        return {"keys": [self.key.as_dict(private=False)], "revocations": {"tokens": list(revoked_tokens), "subjects": revoked_subjects or {}}}

    def signing_key(self) -> dict[str, Any]:
        """The key in the form of the hub's folder of signing keys, so that a hub under test signs as this issuer."""
        issued = int(time.time())
        return {**self.key.as_dict(private=True), "created": issued, "used_from": issued}

    def token(
        self,
        audience: str,
        *,
        scope: str,
        areas: Sequence[str] = ("*",),
        subject: str = "client:test",
        clearance: dict[str, str] | None = None,
        purpose: str = "operations",
        actor: str | None = None,
        lifetime_s: float = 900,
        **claims: Any,
    ) -> str:
        """A signed token with the claims of the contract; `claims` overrides or adds any of them."""
        issued = int(time.time())
        content = {
            "iss": self.url,
            "sub": subject,
            "aud": audience,
            "scope": scope,
            "areas": list(areas),
            "clearance": clearance or {"grade": "general", "personal": "none"},
            "purpose": purpose,
            "jti": uuid.uuid4().hex,
            "iat": issued,
            "exp": issued + int(lifetime_s),
            **({"act": {"sub": actor}} if actor else {}),
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self.key.kid, "typ": "at+jwt"}, content, self.key, algorithms=[ALGORITHM])


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its lifespan, and a client that calls it in this process; answers arrive whole, so not for streams."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test", timeout=30) as client,
    ):
        yield client


class _Server(uvicorn.Server):
    """Ends when it is told to; the usual one looks every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._told.wait()


@asynccontextmanager
async def serving(app: FastAPI, port: int = 0) -> AsyncIterator[httpx.AsyncClient]:
    """The application on a real loopback port (`client.base_url`): for streams, cut connections and services that call each other."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1, lifespan="on"))
        task = asyncio.create_task(server._serve([listener]))  # serve() would take over the signals of the test process
        try:
            while not server.started and not task.done():
                await asyncio.sleep(0.01)
            if task.done():
                await task
                raise RuntimeError("the application did not start; its log says why")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30, trust_env=False, verify=trusted()) as client:
                yield client
        finally:
            server.end()
            if not (await asyncio.wait({task}, timeout=ENDS_WITHIN_S))[0]:
                raise RuntimeError(f"the application does not end; it waits here:\n{_where(asyncio.all_tasks())}")
            await task


def _where(tasks: Iterable[asyncio.Task[Any]]) -> str:
    text = io.StringIO()
    for task in tasks:
        task.print_stack(file=text)
    return text.getvalue()
