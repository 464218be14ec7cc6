"""Laboratories: loaded from their registries; read as the dataset food.laboratories."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.food.laboratories.actions import save_laboratories
from services.food.laboratories.schemas import LaboratoryIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.idempotency import Repeatable
from shared.row_models import Checked, batch_docs, batch_of

router = APIRouter(tags=["laboratories"])
_EXAMPLE = {"number": "L-7", "name": "某市食品检验所", "kind": "agency", "cma": "240001234567", "cma_until": "2030-05-31", "area": "430302"}


@router.post(
    "/laboratories",
    summary="Load laboratories",
    openapi_extra=batch_docs(LaboratoryIn, _EXAMPLE),
    responses={200: {"model": LoadAnswer}},
    response_class=Response,
)
async def load_laboratories(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Annotated[Caller, may("food:write")],
    slot: LoadSlot,
    batch: Annotated[Checked[LaboratoryIn], batch_of(LaboratoryIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent. A number that is recorded with other facts is a `conflict` unless `correct=true`."""

    async def work() -> LoadAnswer:
        return await save_laboratories(session, batch, caller, request.app.state.runtime, correct=correct)

    return await once(work, body_digest=batch.digest)
