"""Stations, units and hydrants merged by their codes; states and positions as they are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, bindparam, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.fire.models import stations, unit_status, units
from services.fire.stations.schemas import PositionIn, UnitIn
from shared.batches import LoadAnswer
from shared.caller import Caller
from shared.loads import merge
from shared.places import covers, place_rows
from shared.row_models import Checked, misdated
from shared.runtime import Runtime

_PLACE = {"area", "within", "lon", "lat", "crs"}
_MOVE = text("""
    WITH given AS (
        SELECT * FROM unnest(CAST(:row AS integer[]), :unit, CAST(:lon AS float8[]), CAST(:lat AS float8[]), CAST(:at AS timestamptz[]))
            AS given (row, unit, lon, lat, at)
    ), mine AS (
        SELECT given.* FROM given JOIN units ON units.code = given.unit WHERE :everywhere OR units.area ^@ ANY(:areas)
    ), moved AS (
        INSERT INTO unit_positions AS kept (unit, lon, lat, at)
        SELECT DISTINCT ON (unit) unit, lon, lat, at FROM mine ORDER BY unit, at DESC, row DESC
        ON CONFLICT (unit) DO UPDATE SET lon = excluded.lon, lat = excluded.lat, at = excluded.at WHERE kept.at < excluded.at
        RETURNING unit
    )
    SELECT ARRAY(SELECT row FROM mine) AS known, (SELECT count(*) FROM moved) AS moved
""").bindparams(bindparam("unit", type_=ARRAY(Text)), bindparam("areas", type_=ARRAY(Text)))
"""In the order of the units, so that two batches wait instead of deadlocking; of a unit's positions the newest stays, however they come."""


async def save_placed(
    session: AsyncSession, table: Table, what: str, batch: Checked[Any], caller: Caller, runtime: Runtime, *, pointed: bool = False, correct: bool
) -> LoadAnswer:
    """Take stations or hydrants; `pointed`: each must have a point."""
    if pointed:
        for number in [number for number, row in batch.rows.items() if row.lon is None]:
            batch.reject(number, "lon", "no-point", f"A {what} is of use only where it is: give lon, lat and crs.")
    places = await place_rows(batch, runtime.areas, caller, runtime.settings.areas)
    rows = {
        number: {**batch.rows[number].model_dump(exclude=_PLACE), "area": place.area, "lon": place.lon, "lat": place.lat} for number, place in places.items()
    }
    return await _merged(session, table, what, batch, rows, caller, correct=correct)


async def save_units(session: AsyncSession, batch: Checked[UnitIn], caller: Caller, runtime: Runtime, now: datetime, *, correct: bool) -> LoadAnswer:
    """Take units; a new one is in quarters until it says otherwise."""
    homes = await _homes(session, batch, caller)
    wanted = {number: homes.get(row.station) if row.station else row.area for number, row in batch.rows.items()}
    known = await runtime.areas.known({code for code in wanted.values() if code})
    rows: dict[int, Mapping[str, Any]] = {}
    for number, area in wanted.items():
        row = batch.rows[number]
        if row.station and area is None:
            batch.reject(number, "station", "unknown-station", f"There is no station {row.station!r}. Load it with PUT /stations first.")
        elif area is None:
            batch.reject(number, "area", "unknown-place", "A unit needs a station, or the area where it is at home.")
        elif area not in known or not _may_be_in(area, caller, runtime.settings.areas):
            batch.reject(number, "area", "outside-areas", f"The area {area} is unknown, or not among those of this city that the token covers.")
        else:
            rows[number] = {**row.model_dump(exclude={"area"}), "capabilities": row.capabilities or "", "area": area}
    answer = await _merged(session, units, "unit", batch, rows, caller, correct=correct)
    await session.execute(_new_status(now, caller))
    return answer


def _new_status(now: datetime, caller: Caller) -> Any:
    """A status for every unit that has none."""
    missing = select(units.c.code, literal("in_quarters"), literal(now), literal(caller.subject))
    missing = missing.where(~select(unit_status.c.unit).where(unit_status.c.unit == units.c.code).exists()).order_by(units.c.code)
    return insert(unit_status).from_select(["unit", "state", "state_at", "recorded_by"], missing).on_conflict_do_nothing()


async def _homes(session: AsyncSession, batch: Checked[UnitIn], caller: Caller) -> dict[str | None, str]:
    named = sorted({row.station for row in batch.rows.values() if row.station})
    found = await session.execute(
        select(stations.c.code, stations.c.area).where(stations.c.code == func.any(literal(named, ARRAY(Text))), covers(caller, stations.c.area))
    )
    return dict(map(tuple, found))


def _may_be_in(area: str, caller: Caller, city: Sequence[str]) -> bool:
    return caller.sees_area(area) and ("*" in city or area.startswith(tuple(city)))


async def _merged(
    session: AsyncSession, table: Table, what: str, batch: Checked[Any], rows: Mapping[int, Mapping[str, Any]], caller: Caller, *, correct: bool
) -> LoadAnswer:
    mine: ColumnElement[bool] = covers(caller, table.c.area)
    merged = await merge(session, table, rows, key=("code",), recorded_by=caller.subject, correct=correct, correctable=mine)
    merged.explain(batch, what)
    return batch.answer(merged.taken, merged.corrected, merged.duplicates)


async def move_units(session: AsyncSession, batch: Checked[PositionIn], caller: Caller, now: datetime) -> LoadAnswer:
    """Take positions, in one statement however many they are; older ones than what is known change nothing and count as duplicates."""
    for number, row in list(batch.rows.items()):
        if fault := misdated(row.at, now):
            batch.reject(number, "at", "time-out-of-range", fault)
    columns = {name: [getattr(row, name) for row in batch.rows.values()] for name in ("unit", "lon", "lat", "at")}
    mine = {"everywhere": caller.everywhere, "areas": list(caller.areas)}
    found = (await session.execute(_MOVE, {"row": list(batch.rows), **columns, **mine})).one()
    for number in set(batch.rows) - set(found.known):
        batch.reject(number, "unit", "unknown-unit", "There is no such unit. Load it with PUT /units first.")
    known = sorted(found.known)
    return batch.answer(known[: found.moved], (), known[found.moved :])
