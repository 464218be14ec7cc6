"""Stations, units and hydrants: loaded in bulk, followed as they move, found near a point."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select

from services.fire.incidents.actions import follow_unit
from services.fire.models import hydrants, stations, unit_reports, units
from services.fire.stations.actions import move_units, save_placed, save_units
from services.fire.stations.reading import hydrants_near, shown_unit, units_now
from services.fire.stations.schemas import HydrantIn, HydrantNear, PositionIn, StateIn, StateOut, StationIn, UnitIn, UnitOut
from shared.auth import Caller, may
from shared.batches import LoadAnswer
from shared.body import LoadSlot
from shared.database import Reader, Session
from shared.errors import InvalidBody, NotFound
from shared.idempotency import Repeatable
from shared.places import covers
from shared.row_models import Checked, Latitude, Longitude, Reference, batch_docs, batch_of, misdated
from shared.service import Now

router = APIRouter(tags=["stations and units"])
Writer = Annotated[Caller, may("fire:write")]
ReaderOf = Annotated[Caller, may("fire:read", "hub:query")]
Correct = Annotated[bool, Query(description="Put other facts in the place of recorded ones; the old ones are kept as history")]
_POINT = {"lon": 112.9447, "lat": 27.8296, "crs": "wgs84", "area": "430304"}
_STATION = {"code": "YT-01", "kind": "fire_station", "name_zh": "岳塘消防救援站", **_POINT}
_UNIT = {"code": "YT-01-1", "kind": "engine", "station": "YT-01", "capabilities": "foam,hazmat"}
_HYDRANT = {"code": "H-1017", "kind": "pillar", "flow_l_s": 15, **_POINT}
_POSITION = {"unit": "YT-01-1", "lon": 112.9447, "lat": 27.8296, "at": "2026-11-22T08:00:00+08:00"}


@router.put(
    "/stations", summary="Load stations", openapi_extra=batch_docs(StationIn, _STATION), responses={200: {"model": LoadAnswer}}, response_class=Response
)
async def load_stations(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[StationIn], batch_of(StationIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; a code that is recorded with other facts is a conflict unless `correct=true`."""

    async def work() -> Any:
        return await save_placed(session, stations, "station", batch, caller, request.app.state.runtime, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.put(
    "/hydrants", summary="Load hydrants", openapi_extra=batch_docs(HydrantIn, _HYDRANT), responses={200: {"model": LoadAnswer}}, response_class=Response
)
async def load_hydrants(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    slot: LoadSlot,
    batch: Annotated[Checked[HydrantIn], batch_of(HydrantIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent; each needs a point."""

    async def work() -> Any:
        return await save_placed(session, hydrants, "hydrant", batch, caller, request.app.state.runtime, pointed=True, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.put("/units", summary="Load units", openapi_extra=batch_docs(UnitIn, _UNIT), responses={200: {"model": LoadAnswer}}, response_class=Response)
async def load_units(
    request: Request,
    session: Session,
    once: Repeatable,
    caller: Writer,
    now: Now,
    slot: LoadSlot,
    batch: Annotated[Checked[UnitIn], batch_of(UnitIn)],
    correct: Correct = False,
) -> Response:
    """Rows are independent. A unit's area is that of its station, which must be loaded before; a new unit is in quarters."""

    async def work() -> Any:
        return await save_units(session, batch, caller, request.app.state.runtime, now, correct=correct)

    return await once(work, body_digest=batch.digest)


@router.put("/units/positions", summary="Say where units are", openapi_extra=batch_docs(PositionIn, _POSITION))
async def report_positions(
    session: Session, caller: Writer, now: Now, slot: LoadSlot, batch: Annotated[Checked[PositionIn], batch_of(PositionIn)]
) -> LoadAnswer:
    """Only the newest position of a unit is kept; whatever is older than that counts as a duplicate, so a batch may be sent again."""
    return await move_units(session, batch, caller, now)


@router.post("/units/{unit}/state", summary="Say what a unit does", responses={200: {"model": UnitOut}})
async def report_state(request: Request, unit: Reference, report: StateIn, session: Session, caller: Writer, now: Now) -> UnitOut:
    """Every report is kept; the newest is the unit's state, in whatever order they come, and the same report again changes nothing.

    For a unit that is assigned, the report also writes the times of its response; a unit that is free again ends its assignment.
    """
    if fault := misdated(report.at, now):
        raise InvalidBody(fault, pointer="/at")
    if not await follow_unit(session, request.app.state.runtime, unit, report.state, report.at, caller):
        raise _no_unit(unit)
    return shown_unit((await session.execute(units_now().where(units.c.code == unit))).one())


@router.get("/units/{unit}", summary="A unit as it is now")
async def show_unit(unit: Reference, reader: Reader, caller: ReaderOf) -> UnitOut:
    """What it is, what it does, and where it was last."""
    found = (await reader.execute(units_now().where(units.c.code == unit, covers(caller, units.c.area)))).one_or_none()
    if found is None:
        raise _no_unit(unit)
    return shown_unit(found)


@router.get("/units/{unit}/states", summary="What a unit reported")
async def list_states(
    unit: Reference, session: Session, caller: ReaderOf, limit: Annotated[int, Query(ge=1, le=1000, description="Most reports")] = 100
) -> list[StateOut]:
    """Its reports, the newest first, those that came late in their place."""
    source = unit_reports.join(units, units.c.code == unit_reports.c.unit)
    columns = (unit_reports.c.at, unit_reports.c.state, unit_reports.c.incident)
    query = select(*columns).select_from(source).where(units.c.code == unit, covers(caller, units.c.area)).order_by(unit_reports.c.at.desc()).limit(limit)
    return [StateOut.model_validate(dict(row._mapping)) for row in await session.execute(query)]


@router.get("/hydrants", summary="Hydrants near a point")
async def list_hydrants(
    reader: Reader,
    caller: ReaderOf,
    lon: Annotated[Longitude, Query()],
    lat: Annotated[Latitude, Query()],
    within_m: Annotated[float, Query(gt=0, le=20_000, allow_inf_nan=False, description="Metres around the point")] = 500,
    limit: Annotated[int, Query(ge=1, le=100, description="Most hydrants")] = 10,
) -> list[HydrantNear]:
    """Hydrants in service, the nearest first; the distance is a straight line."""
    return await hydrants_near(reader, lon, lat, covers(caller, hydrants.c.area), within_m=within_m, limit=limit)


def _no_unit(unit: str) -> NotFound:
    return NotFound(f"There is no unit {unit[:100]!r}.")
