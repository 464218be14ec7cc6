"""Samples and tests: loaded in bulk; what the standards allow."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.food.samples.actions import save_samples, save_tests
from services.food.samples.schemas import SampleIn, TestIn
from services.food.samples.tables import CATEGORIES, LIMITS
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.idempotency import Repeatable
from shared.row_models import Checked, batch_docs, batch_of
from shared.service import Now

router = APIRouter(tags=["samples"])
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
Writer = Annotated[Caller, may("food:write")]
_SAMPLE = {"number": "S-1", "product": "cereal.rice", "premises": "JY24303020012345", "programme": "2026 年监督抽检", "taken_at": "2026-11-20T10:00:00+08:00"}
_TEST = {
    "number": "T-1",
    "sample": "S-1",
    "laboratory": "L-7",
    "analyte": "cadmium",
    "method": "GB 5009.15",
    "result": "0.23",
    "unit": "mg/kg",
    "tested_at": "2026-11-21T15:00:00+08:00",
}
_ANSWER: dict[int | str, dict[str, Any]] = {200: {"model": LoadAnswer}}


@router.post("/samples", summary="Load samples", openapi_extra=batch_docs(SampleIn, _SAMPLE), responses=_ANSWER, response_class=Response)
async def load_samples(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[SampleIn], batch_of(SampleIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; premises and lots that they name must be recorded. The tests of a corrected sample are judged anew."""

    async def work() -> LoadAnswer:
        return await save_samples(session, batch, caller, request.app.state.runtime, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.post("/tests", summary="Load tests of samples", openapi_extra=batch_docs(TestIn, _TEST), responses=_ANSWER, response_class=Response)
async def load_tests(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[TestIn], batch_of(TestIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; samples and laboratories must be recorded. Each is judged by the limit that held when the food was made or taken.

    One that exceeds its limit, in a sample at most 30 days old, becomes an event. A retest (复检) of the same sample and analyte takes the place of the
    test that it names.
    """
    city = request.app.state.runtime.settings.city

    async def work() -> LoadAnswer:
        return await save_tests(session, batch, caller, city, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.get("/limits", summary="What the standards allow")
async def show_limits(caller: Annotated[Caller, may("food:read", "hub:query")]) -> dict[str, Any]:
    """Every limit that tests are held against, with standard, table and days of validity; `verified` says whether it was compared with a published text."""
    rows = [
        {
            "analyte": each.analyte,
            "product": each.product,
            "limit": str(each.value),
            "unit": each.unit,
            "source": each.source,
            "since": each.since.isoformat(),
            "until": each.until.isoformat() if each.until else None,
            "plan": {"n": each.n, "c": each.c, "m": str(each.m), "M": str(each.value)} if each.m is not None else None,
            "verified": each.verified,
        }
        for each in LIMITS
    ]
    return {"categories": CATEGORIES, "limits": rows}
