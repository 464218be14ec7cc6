"""Accidents: loaded from public registers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.worksafety.accidents.actions import save_accidents
from services.worksafety.accidents.schemas import AccidentIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["accidents"])
_EXAMPLE = {"number": "2026-17", "title": "高处坠落", "happened_on": "2026-11-20", "deaths": 1, "fall": 6.5, "area": "430304"}


@router.put("/accidents", summary="Load accidents", openapi_extra=batch_docs(AccidentIn, _EXAMPLE))
async def load_accidents(
    request: Request,
    session: Session,
    caller: Annotated[Caller, may("worksafety:write")],
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[AccidentIn], batch_of(AccidentIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> LoadAnswer:
    """Rows are independent. Where deaths, serious injuries or losses are known, the grade of Decree 493 follows."""
    return await save_accidents(session, batch, caller, request.app.state.runtime, now, correct=correct)
