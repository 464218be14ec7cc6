"""Gauges: merged by their code, each with the series of what it measures; and the stage of one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import select

from services.water.gauges.schemas import GaugeIn
from services.water.levels.schemas import WATER, StageOut
from services.water.models import gauges, stages
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import NotFound
from shared.loads import merge
from shared.outbox.record import when_committed
from shared.places import covers, place_rows
from shared.row_models import Checked, Reference, batch_docs, batch_of
from shared.series import Timing
from shared.series.features import declare_series, follow_features
from shared.service import Runtime

router = APIRouter(tags=["gauges"])
_EXAMPLE = {
    "code": "61104700",
    "name_zh": "湘潭",
    "river": "湘江",
    "yellow": 38.0,
    "orange": 39.5,
    "lon": 112.93,
    "lat": 27.86,
    "crs": "wgs84",
    "area": "430302",
}


@router.put("/gauges", summary="Load gauges", openapi_extra=batch_docs(GaugeIn, _EXAMPLE))
async def load_gauges(
    request: Request,
    session: Session,
    caller: Annotated[Caller, may("water:write")],
    slot: LoadSlot,
    batch: Annotated[Checked[GaugeIn], batch_of(GaugeIn)],
    correct: Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")] = False,
) -> LoadAnswer:
    """Rows are independent. Each gauge gets its series, so readings can follow at once. Other thresholds hold from the next reading on."""
    runtime: Runtime = request.app.state.runtime
    when_committed(session, runtime.own.forget)
    rows: dict[int, dict[str, Any]] = {}
    for number, place in (await place_rows(batch, runtime.areas, caller, runtime.settings.areas)).items():
        stated = batch.rows[number].model_dump(include={"code", "name_zh", "name_en", "river", "blue", "yellow", "orange", "red"})
        rows[number] = {**stated, "area": place.area, "lon": place.lon, "lat": place.lat}
    mine = covers(caller, gauges.c.area)
    merged = await merge(session, gauges, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, "gauge")
    added = [rows[number] for number in merged.taken]
    await declare_series(session, added, WATER, runtime.settings.timezone, caller.subject, rain=(Timing.END, 3600))  # rain is told at the end of its hour
    await follow_features(session, gauges, [rows[number]["code"] for number in merged.corrected], caller.subject)
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


@router.get("/stage", summary="The present flood stage of a gauge")
async def stage(gauge: Annotated[Reference, Query()], reader: Reader, caller: Annotated[Caller, may("water:read", "hub:query")]) -> StageOut:
    """The stage, since when and with which reading it began; nulls before the first."""
    joined = select(gauges, stages.c.stage, stages.c.since, stages.c.water_level).outerjoin(stages, stages.c.gauge == gauges.c.code)
    found = (await reader.execute(joined.where(gauges.c.code == gauge, covers(caller, gauges.c.area)))).one_or_none()
    if found is None:
        raise NotFound(f"There is no gauge {gauge!r}.", pointer="/gauge")
    return StageOut.model_validate(found, from_attributes=True)
