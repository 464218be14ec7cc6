"""Detectors, how near they are to one another, their series, and what they measured: bulk loads by natural key."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.traffic.detectors.actions import save_adjacency, save_detectors, save_series
from services.traffic.detectors.schemas import MEASURED, AdjacencyIn, DetectorIn, SeriesIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import MEDIA_TYPES, LoadSlot, read_body, rows_of
from shared.database import Session
from shared.idempotency import Repeatable
from shared.outbox.record import when_committed
from shared.row_models import Checked, batch_docs, batch_of
from shared.series import columns, load
from shared.service import Now

router = APIRouter(tags=["detectors"])
Writer = Annotated[Caller, may("traffic:write")]
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
_DETECTOR = {"code": "FX-12", "name_zh": "芙蓉路12号", "road": "芙蓉路", "lon": 112.9, "lat": 27.87, "crs": "wgs84", "area": "430304"}
_ADJACENCY = {"from_detector": "FX-12", "to_detector": "FX-13", "weight": 0.61}
_SERIES = {"detector": "FX-12", "property": "speed", "timing": "begin", "interval_s": 300}
_ROW = {
    "type": "object",
    "required": ["detector", "property", "time", "value"],
    "additionalProperties": False,
    "properties": {
        "detector": {"type": "string"},
        "property": {"type": "string", "enum": sorted(MEASURED.by_code)},
        "time": {"type": "string", "format": "date-time", "description": "With offset; instant, beginning or end of the interval, as the series says"},
        "value": {"type": "number"},
        "unit": {"type": "string", "description": "UCUM; the property's own unit if absent"},
        "quality": {"type": "integer", "minimum": 1, "maximum": 4, "description": "1 good, 2 not evaluated, 3 suspect, 4 bad (IOC Manuals and Guides 54-3)"},
    },
}
_EXAMPLE = [{"detector": "FX-12", "property": "speed", "time": "2026-11-22T08:00:00+08:00", "value": 41.5}]
_TEXT = {"schema": {"type": "string"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "array", "items": _ROW}, "example": _EXAMPLE},
            "application/x-ndjson": _TEXT,
            "text/csv": _TEXT,
            "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.put("/detectors", summary="Load detectors", openapi_extra=batch_docs(DetectorIn, _DETECTOR))
async def load_detectors(
    request: Request,
    session: Session,
    caller: Writer,
    slot: LoadSlot,
    checked: Annotated[Checked[DetectorIn], batch_of(DetectorIn)],
    correct: Correct = False,
) -> LoadAnswer:
    """Rows are independent. A code that is recorded with other facts is a `conflict` unless `correct=true`; the series of a corrected one follow it."""
    runtime = request.app.state.runtime
    for act in (runtime.own.directory.forget, runtime.own.roads.measured):
        when_committed(session, act)
    return await save_detectors(session, checked, caller, runtime, correct=correct)


@router.put("/adjacency", summary="Load the adjacency of detectors", openapi_extra=batch_docs(AdjacencyIn, _ADJACENCY))
async def load_adjacency(
    session: Session, caller: Writer, slot: LoadSlot, checked: Annotated[Checked[AdjacencyIn], batch_of(AdjacencyIn)], correct: Correct = False
) -> LoadAnswer:
    """Rows are independent. A pair that is recorded with another weight is a `conflict` unless `correct=true`; its area is that of `from_detector`."""
    return await save_adjacency(session, checked, caller, correct=correct)


@router.put("/series", summary="Load series", openapi_extra=batch_docs(SeriesIn, _SERIES))
async def load_series(
    request: Request, session: Session, caller: Writer, slot: LoadSlot, checked: Annotated[Checked[SeriesIn], batch_of(SeriesIn)]
) -> LoadAnswer:
    """Rows are independent. What a detector measures is said once: `timing` and `interval_s` cannot change, the values rely on them."""
    when_committed(session, request.app.state.runtime.own.directory.forget)
    return await save_series(session, checked, caller)


@router.post("/observations", summary="Load observations", openapi_extra=_BODY, responses={200: {"model": LoadAnswer}}, response_class=Response)
async def load_observations(
    request: Request, session: Session, once: Repeatable, caller: Writer, now: Now, slot: LoadSlot, correct: Correct = False
) -> Response:
    """Rows are independent: what is sound is taken, the rest is rejected with its row, pointer and reason.

    JSON array, NDJSON, CSV with a header, or an Arrow stream; optionally gzip. Speeds less than 15 minutes old change the travel times of cars at once.
    A value already recorded is a duplicate; another value under the same detector, property and time is a `conflict` unless `correct=true`.
    """
    body = await read_body(request, MEDIA_TYPES)
    rows = rows_of(body, columns(MEASURED))
    own = request.app.state.runtime.own

    async def work() -> dict[str, Any]:
        loaded = await load(session, rows, MEASURED, own.directory, caller, now, correct=correct)
        when_committed(session, own.roads.measured)
        return loaded.answer.as_dict()

    return await once(work, body_digest=body.digest)
