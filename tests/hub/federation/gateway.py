"""A gateway that can ask one peer city: before a real service that holds the peer's rows, it speaks in the peer's name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from joserfc.jwk import OKPKey

from shared import identity
from shared.datasets.history import history_triggers_ddl
from shared.identity import Identity
from shared.service import create_app
from shared.testing import serving
from tests.city import City
from tests.hub.federation.sectors import calls_service, fill

SERVICE = calls_service("intercity")


class Gateway:
    """What it announces and how it answers may be changed by a test."""

    def __init__(self, behind: httpx.AsyncClient) -> None:
        self._behind = behind
        self.name = "intercity"
        self.peers: Any = [{"city": "430100", "url_path": "/peers/430100"}]
        self.speaks_as = b"430100/intercity"
        self.refusal: Response | None = None
        self.key = OKPKey.generate_key("Ed25519")
        self.app = FastAPI()
        self.app.state.runtime = self  # whose identity it is
        self.app.include_router(identity.router)
        self.app.get("/capabilities")(self._capabilities)
        self.app.api_route("/peers/430100/{path:path}", methods=["GET", "POST"])(self._forward)

    @property
    def identity(self) -> Identity:
        return Identity(f"430300/{self.name}", self.key)

    async def _capabilities(self) -> dict[str, Any]:
        return {"service": self.name, "city": "430300", "version": "1", "contract": "1", "datasets": [], "peers": self.peers}

    async def _forward(self, path: str, request: Request) -> Response:
        if self.refusal is not None and path != "capabilities" and not path.endswith(("/schema", "fire.calls")):
            return self.refusal
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        answer = await self._behind.request(request.method, f"/{path}", params=request.query_params, content=await request.body(), headers=headers)
        if path == "capabilities" and answer.is_success:
            return Response(answer.content.replace(b'"intercity"', b'"hub"').replace(b"430300", b"430100"), answer.status_code)
        return Response(answer.content.replace(b"430300/intercity", self.speaks_as), answer.status_code, media_type=answer.headers["content-type"])


@asynccontextmanager
async def gateway(city: City, rows: Sequence[dict[str, Any]]) -> AsyncIterator[tuple[Gateway, str]]:
    """The gateway and its address; the tokens that it is shown are checked by the service behind it, whose audience is 430300/intercity."""
    app = create_app(SERVICE, city.settings(SERVICE, ddl=history_triggers_ddl("calls")))
    async with serving(app) as behind:
        await fill(app, rows)
        made = Gateway(behind)
        async with serving(made.app) as client:
            yield made, str(client.base_url).rstrip("/")
