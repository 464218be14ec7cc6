"""Lots and movements: loaded in bulk; read as datasets, followed by `/trace`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.food.lots.actions import save_lots, save_movements
from services.food.lots.schemas import LotIn, MovementIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.idempotency import Repeatable
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["lots"])
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
Writer = Annotated[Caller, may("food:write")]
_LOT = {"number": "06901234567892.A1", "product": "cereal.rice", "premises": "SC10143030212345", "made_on": "2026-11-01", "quantity": 12.5, "unit": "t"}
_MOVEMENT = {
    "number": "m-1",
    "kind": "ship",
    "at": "2026-11-02T09:00:00+08:00",
    "lot": "06901234567892.A1",
    "premises": "SC10143030212345",
    "partner": "JY14303020054321",
    "quantity": 500,
    "unit": "kg",
}
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"model": LoadAnswer}}


@router.post("/lots", summary="Load lots", openapi_extra=batch_docs(LotIn, _LOT), responses=_ANSWER, response_class=Response)
async def load_lots(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[LotIn], batch_of(LotIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; the premises that made a lot must be recorded."""
    city = request.app.state.runtime.settings.city

    async def work() -> LoadAnswer:
        return await save_lots(session, batch, caller, city, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post("/movements", summary="Load movements of lots", openapi_extra=batch_docs(MovementIn, _MOVEMENT), responses=_ANSWER, response_class=Response)
async def load_movements(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[MovementIn], batch_of(MovementIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; lots and premises must be recorded. The inputs and outputs of one transformation (mix, split, process) share their `event`."""
    city = request.app.state.runtime.settings.city

    async def work() -> LoadAnswer:
        return await save_movements(session, batch, caller, city, now, correct=correct)

    return await once(work, body_digest=batch.digest)
