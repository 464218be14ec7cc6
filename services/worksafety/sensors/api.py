"""Sensors and their values: bulk loads; a value that rises above a threshold is an event."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from services.worksafety.sensors.actions import save_sensors, tell_alarms
from services.worksafety.sensors.schemas import SAFETY, SensorIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import MEDIA_TYPES, LoadSlot, read_body, rows_of
from shared.database import Session
from shared.idempotency import Repeatable
from shared.outbox.record import when_committed
from shared.row_models import Checked, batch_docs, batch_of
from shared.series import SeriesDirectory, columns, load
from shared.service import Now

router = APIRouter(tags=["sensors"])
Writer = Annotated[Caller, may("worksafety:write")]
_SENSOR = {"code": "S1-CL2-01", "site": "S1", "property": "gas_ppm", "cas": "7782-50-5", "alarm_low": 0.34, "alarm_high": 0.68}
_ROW = {
    "type": "object",
    "required": ["sensor", "property", "time", "value"],
    "additionalProperties": False,
    "properties": {
        "sensor": {"type": "string"},
        "property": {"type": "string", "enum": sorted(SAFETY.by_code)},
        "time": {"type": "string", "format": "date-time"},
        "value": {"type": "number"},
        "unit": {"type": "string", "description": "UCUM; the property's own unit if absent"},
        "quality": {"type": "integer", "minimum": 1, "maximum": 4},
    },
}
_EXAMPLE = [{"sensor": "S1-CL2-01", "property": "gas_ppm", "time": "2026-11-22T08:00:00+08:00", "value": 0.5}]
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


@router.put("/sensors", summary="Load sensors", openapi_extra=batch_docs(SensorIn, _SENSOR))
async def load_sensors(
    request: Request,
    session: Session,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[SensorIn], batch_of(SensorIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> LoadAnswer:
    """Rows are independent. Each sensor gets its series, so values can follow at once."""
    runtime = request.app.state.runtime
    when_committed(session, runtime.own.forget)
    return await save_sensors(session, batch, caller, runtime.settings.city, runtime.settings.timezone, correct=correct)


@router.post("/observations", summary="Load sensor values", openapi_extra=_BODY, responses={200: {"model": LoadAnswer}}, response_class=Response)
async def load_values(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    correct: Annotated[bool, Query(description="Put other values in the place of recorded ones; the old ones are kept as history")] = False,
) -> Response:
    """Rows are independent. A value that rises above the first or second alarm is an event, once; values over six hours old raise none."""
    body = await read_body(request, MEDIA_TYPES)
    rows = rows_of(body, columns(SAFETY))
    directory: SeriesDirectory = request.app.state.runtime.own

    async def work() -> dict[str, Any]:
        loaded = await load(session, rows, SAFETY, directory, caller, now, correct=correct)
        await tell_alarms(session, loaded, now)
        return loaded.answer.as_dict()

    return await once(work, body_digest=body.digest)
