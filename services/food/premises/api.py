"""Premises: loaded from their registries, shown with their latest inspection."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select

from services.food.models import findings, inspections, premises
from services.food.premises.actions import save_premises
from services.food.premises.schemas import PremisesIn, PremisesOut
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import NotFound
from shared.idempotency import Repeatable
from shared.places import covers
from shared.row_models import Checked, batch_docs, batch_of

router = APIRouter(tags=["premises"])
_EXAMPLE = {"number": "JY24303020012345", "name": "某某餐馆", "kind": "catering", "lon": 112.91, "lat": 27.86, "crs": "gcj02", "within": "4303"}


@router.post(
    "/premises", summary="Load premises", openapi_extra=batch_docs(PremisesIn, _EXAMPLE), responses={200: {"model": LoadAnswer}}, response_class=Response
)
async def load_premises(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Annotated[Caller, may("food:write")],
    slot: LoadSlot,
    batch: Annotated[Checked[PremisesIn], batch_of(PremisesIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent. A number that is recorded with other facts is a `conflict` unless `correct=true`."""

    async def work() -> LoadAnswer:
        return await save_premises(session, batch, caller, request.app.state.runtime, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.get("/premises/{premises_id}", summary="Premises with their latest inspection", response_model=PremisesOut)
async def show_premises(premises_id: str, reader: Reader, caller: Annotated[Caller, may("food:read")]) -> Any:
    """What is known of premises, the latest inspection and what it found. The id is `<registry>:<number>`."""
    place = (await reader.execute(select(premises).where(premises.c.id == premises_id, covers(caller, premises.c.area)))).mappings().one_or_none()
    if place is None:
        raise NotFound(f"There are no premises {premises_id[:100]!r}.")
    newest = select(inspections).where(inspections.c.premises == premises_id).order_by(inspections.c.inspected_at.desc(), inspections.c.number).limit(1)
    latest = (await reader.execute(newest)).mappings().one_or_none()
    if latest is None:
        return {**place, "latest_inspection": None}
    found = await reader.execute(select(findings).where(findings.c.inspection == latest["id"]).order_by(findings.c.number))
    return {**place, "latest_inspection": {**latest, "findings": [dict(row) for row in found.mappings()]}}
