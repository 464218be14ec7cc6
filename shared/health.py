"""Is the process alive, can it serve, and how is it doing: /healthz, /readyz, /metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from shared.bus import states

router = APIRouter(tags=["operation"])
PATIENCE_S = 2.0


@router.get("/healthz", summary="Whether the process answers")
async def alive() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the service can do its work, and which dependency fails if not")
async def ready(request: Request) -> JSONResponse:
    """`ready`, `degraded` (something is missing that can wait: Redis, the hub's keys) or `unready` (503)."""
    runtime = request.app.state.runtime
    found = await asyncio.gather(_database(runtime.engine), _database(runtime.reader), _redis(runtime.publisher), _redis(runtime.consumer))
    checks = dict(zip(("database", "reader", "redis_publish", "redis_consume"), found, strict=True))
    checks["keys"] = "ok" if runtime.tokens.ready else "no issuer key known yet; the hub does not answer"
    checks |= states(runtime.settings.audience)
    vital = all(checks[name] == "ok" for name in ("database", "reader"))
    status = "unready" if not vital else "ready" if all(check == "ok" for check in checks.values()) else "degraded"
    return JSONResponse({"status": status, "service": runtime.settings.audience, "checks": checks}, 200 if vital else 503)


@router.get("/metrics", summary="Measurements in the Prometheus text format", response_class=Response)
async def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _database(engine: Any) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:  # noqa: BLE001 - whatever the driver raises, the answer is that it fails
        return f"failing: {type(error).__name__}"
    return "ok"


async def _redis(client: Any) -> str:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await client.ping()
    except Exception as error:  # noqa: BLE001 - whatever the client raises, the answer is that it fails
        return f"failing: {type(error).__name__}"
    return "ok"
