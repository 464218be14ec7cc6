"""`/trace`: a lot back to every origin and forward to every point of sale. `/patterns`: what failed samples have in common upstream."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response

from services.food.samples.schemas import Analyte
from services.food.tracing.actions import trace
from services.food.tracing.domain import Direction
from services.food.tracing.patterns import patterns_of
from services.food.tracing.schemas import Asked, PatternsOut, TraceOut, Upstream
from shared.auth import Caller, may
from shared.database import Reader
from shared.datasets.extent import parse_moment
from shared.datasets.history import settled
from shared.service import Now

router = APIRouter(tags=["tracing"])
Asking = Annotated[Caller, may("food:read", "hub:query")]
LotId = Annotated[str, Query(max_length=201, pattern=r"^[A-Za-z0-9._~@+-]+:[A-Za-z0-9._~@+-]+$", description="`<registry>:<number>`")]


@router.get("/trace", summary="Trace a lot back and forward", responses={200: {"model": TraceOut}}, response_class=Response)
async def trace_lot(
    reader: Reader,
    caller: Asking,
    lot: LotId,
    direction: Asked = "both",
    max_depth: Annotated[int, Query(ge=1, le=50, description="Most transformations to follow")] = 20,
    limit: Annotated[int, Query(ge=1, le=20_000, description="Most lots in each direction, the nearest first")] = 5_000,
    known_at: Annotated[str | None, Query(max_length=40, description="Answer as it would have been answered then")] = None,
) -> Response:
    """Lots, the steps between them, where they went, amounts by proportional mass balance, loops, missing links, and quantities that do not balance.

    What lies outside the caller's areas is counted in `beyond_scope` and not told.
    """
    moment = await settled(reader, parse_moment(known_at, pointer="/known_at")) if known_at else None
    directions: tuple[Direction, ...] = ("back", "forward") if direction == "both" else (direction,)
    found = await trace(reader, lot, directions, caller, max_depth=max_depth, limit=limit, known_at=moment)
    asked: dict[str, Any] = {"lot": lot, "direction": direction, "max_depth": max_depth, "known_at": moment}
    return Response(orjson.dumps(asked | found), media_type="application/json")


@router.get("/patterns", summary="What failed samples have in common upstream", response_model=PatternsOut)
async def patterns(
    reader: Reader,
    caller: Asking,
    now: Now,
    analyte: Annotated[Analyte, Query()],
    window: Annotated[int, Query(ge=1, le=3_660, description="Days back from now in which the samples were taken")] = 90,
    by: Upstream = "lot",
    laboratories: Annotated[int, Query(ge=1, le=1_000, description="Fewest laboratories that must have found a failure")] = 2,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> dict[str, Any]:
    """Lots or premises upstream of failed samples of several laboratories, the highest lift first."""
    since: datetime = now - timedelta(days=window)
    return await patterns_of(reader, caller, analyte, since, now, by=by, laboratories=laboratories, limit=limit)
