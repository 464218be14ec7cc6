"""Bulk loads of observations: check → load → record crossings → follow the wind around releases."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.env.observations.schemas import AIR
from services.env.outlines.actions import WIND, follow_wind
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import MEDIA_TYPES, LoadSlot, read_body, rows_of
from shared.database import Session
from shared.events.env import ObservationExceeded
from shared.idempotency import Repeatable
from shared.outbox.record import record_all
from shared.series import Crossing, SeriesDirectory, columns, load
from shared.service import Now

router = APIRouter(tags=["observations"])
_ROW = {
    "type": "object",
    "required": ["station", "property", "time", "value"],
    "additionalProperties": False,
    "properties": {
        "station": {"type": "string"},
        "property": {"type": "string", "enum": sorted(AIR.by_code)},
        "time": {"type": "string", "format": "date-time", "description": "With offset; instant, beginning or end of the interval, as the series says"},
        "value": {"type": "number"},
        "unit": {"type": "string", "description": "UCUM; the property's own unit if absent"},
        "quality": {"type": "integer", "minimum": 1, "maximum": 4, "description": "1 good, 2 not evaluated, 3 suspect, 4 bad (IOC Manuals and Guides 54-3)"},
    },
}
_EXAMPLE = [{"station": "430302001", "property": "pm25", "time": "2026-11-22T08:00:00+08:00", "value": 35.0}]
_TEXT = {"schema": {"type": "string"}}
_BODY = {
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


@router.post("/observations", summary="Load observations", openapi_extra=_BODY, responses={200: {"model": LoadAnswer}}, response_class=Response)
async def load_observations(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Annotated[Caller, may("env:write")],
    now: Now,
    slot: LoadSlot,
    correct: Annotated[bool, Query(description="Put other values in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent: what is sound is taken, the rest is rejected with its row, pointer and reason.

    JSON array, NDJSON, CSV with a header, or an Arrow stream; optionally gzip. The answer comes after the commit, with roll-ups current.
    A value already recorded is a duplicate; another value under the same station, property and time is a `conflict` unless `correct=true`.
    """
    body = await read_body(request, MEDIA_TYPES)
    rows = rows_of(body, columns(AIR))
    directory: SeriesDirectory = request.app.state.runtime.own

    async def work() -> dict[str, Any]:
        loaded = await load(session, rows, AIR, directory, caller, now, correct=correct)
        record_all(session, [_exceeded(crossing) for crossing in loaded.crossings])
        if any(measured in WIND for _, measured in loaded.measured):
            await follow_wind(session, caller.subject, now)
        return loaded.answer.as_dict()

    return await once(work, body_digest=body.digest)


def _exceeded(crossing: Crossing) -> ObservationExceeded:
    return ObservationExceeded(
        area=crossing.area,
        station=crossing.feature,
        property=crossing.property,
        hour=crossing.hour,
        mean=crossing.mean,
        limit=crossing.limit.value,
        unit=AIR.by_code[crossing.property].unit,
        source=crossing.limit.source,
    )
