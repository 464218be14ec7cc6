"""A source that announces whatever a test wants."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from joserfc.jwk import OKPKey

from shared import identity
from shared.identity import Identity

LABELS = {"x-grade": "general", "x-personal": "none", "x-sharing": "conditional"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    **LABELS,
    "properties": {
        "id": {"type": "string", "title": "Identifier", "x-title": {"zh": "编号", "en": "Identifier"}, "x-ogc-role": "id", **LABELS},
        "speed": {"type": "number", "title": "Speed", "x-title": {"zh": "速度", "en": "Speed"}, "x-ogc-unit": "km/h", **LABELS},
        "driver": {"type": "string", "title": "Driver", "x-title": {"zh": "驾驶员", "en": "Driver"}, **LABELS, "x-personal": "personal"},
    },
    "required": ["id", "driver"],
}


class Announcer:
    def __init__(self, name: str = "traffic") -> None:
        self.capabilities: dict[str, Any] = {
            "service": name,
            "city": "430300",
            "version": "1.0.0",
            "contract": "1",
            "datasets": [{"id": "traffic.loops", "title": {"zh": "线圈", "en": "Loops"}, "version": "7", "as_of": "2026-11-22T08:00:00Z"}],
        }
        self.schema: Any = SCHEMA
        self.raw: bytes | None = None
        self.tokens: list[str] = []
        self.app = FastAPI()
        self.identity = Identity(f"430300/{name}", OKPKey.generate_key("Ed25519"))
        self.app.state.runtime = self  # whose identity it is
        self.app.include_router(identity.router)
        self.app.get("/capabilities")(self._capabilities)
        self.app.get("/collections/{dataset}")(self._collection)
        self.app.get("/collections/{dataset}/schema")(self._schema)

    async def _capabilities(self, request: Request) -> Response:
        self.tokens.append(request.headers.get("authorization", "").removeprefix("Bearer "))
        return Response(self.raw) if self.raw is not None else JSONResponse(self.capabilities)

    async def _collection(self, dataset: str) -> dict[str, Any]:
        words = {"zh": "线圈", "en": "Loops"}
        return {"id": dataset, "title": "Loops", "names": {"title": words, "description": words, "owner": words}, "licence": "CC-BY-4.0", "links": []}

    async def _schema(self) -> Response:
        return JSONResponse(self.schema)
