"""Stations and their series: bulk upserts by natural key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.env.stations.actions import save_series, save_stations
from services.env.stations.schemas import SeriesIn, StationIn
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Session
from shared.outbox.record import when_committed
from shared.row_models import Checked, batch_docs, batch_of

router = APIRouter(tags=["stations"])
_STATION = {"code": "430302001", "name_zh": "岳塘", "kind": "urban", "lon": 112.9, "lat": 27.87, "crs": "wgs84", "area": "430304"}
_SERIES = {"station": "430302001", "property": "pm25", "timing": "begin", "interval_s": 3600}
Stations = Annotated[Checked[StationIn], batch_of(StationIn)]
SeriesRows = Annotated[Checked[SeriesIn], batch_of(SeriesIn)]


@router.put("/stations", summary="Load stations", openapi_extra=batch_docs(StationIn, _STATION))
async def load_stations(
    request: Request,
    session: Session,
    caller: Annotated[Caller, may("env:write")],
    slot: LoadSlot,
    checked: Stations,
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> LoadAnswer:
    """Rows are independent. A code that is recorded with other facts is a `conflict` unless `correct=true`; the series of a corrected station follow it."""
    runtime = request.app.state.runtime
    city, timezone = runtime.settings.areas, runtime.settings.timezone
    when_committed(session, runtime.own.forget)
    return await save_stations(session, checked, runtime.areas, caller, city=city, timezone=timezone, correct=correct)


@router.put("/series", summary="Load series", openapi_extra=batch_docs(SeriesIn, _SERIES))
async def load_series(request: Request, session: Session, caller: Annotated[Caller, may("env:write")], slot: LoadSlot, checked: SeriesRows) -> LoadAnswer:
    """Rows are independent. What a station measures is said once: `timing` and `interval_s` cannot change, the values rely on them."""
    when_committed(session, request.app.state.runtime.own.forget)
    return await save_series(session, checked, caller)
