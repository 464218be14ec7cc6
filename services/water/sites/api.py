"""Sites: loaded in bulk by their code."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.water.sites.actions import save_sites
from services.water.sites.schemas import SiteIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.row_models import Checked, batch_docs, batch_of

router = APIRouter(tags=["sites"])
_EXAMPLE = {"code": "S-1", "name_zh": "示例场所", "kind": "public", "lon": 112.9, "lat": 27.87, "crs": "wgs84", "area": "430304"}


@router.put("/sites", summary="Load sites", openapi_extra=batch_docs(SiteIn, _EXAMPLE))
async def load_sites(
    request: Request,
    session: Session,
    caller: Annotated[Caller, may("water:write")],
    slot: LoadSlot,
    batch: Annotated[Checked[SiteIn], batch_of(SiteIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> LoadAnswer:
    """Rows are independent. A code that is recorded with other facts is a `conflict` unless `correct=true`."""
    return await save_sites(session, batch, caller, request.app.state.runtime, correct=correct)
