"""Units as they are now, and hydrants near a point."""

from __future__ import annotations

from math import cos, degrees, radians

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.fire.models import hydrants, unit_positions, unit_status, units
from services.fire.stations.domain import EARTH_M, distance_m
from services.fire.stations.schemas import HydrantNear, UnitOut

SEARCHED = 200
"""Hydrants that are measured exactly, of those nearest in degrees."""


def units_now() -> Select[*tuple[object, ...]]:
    """Units with state and position."""
    position = (unit_positions.c.lon, unit_positions.c.lat, unit_positions.c.at.label("position_at"))
    columns = (*(column for column in units.c if not column.name.startswith("recorded")), unit_status.c.state, unit_status.c.state_at, unit_status.c.incident)
    source = units.join(unit_status, unit_status.c.unit == units.c.code).outerjoin(unit_positions, unit_positions.c.unit == units.c.code)
    return select(*columns, *position).select_from(source)


def shown_unit(row: Row[*tuple[object, ...]]) -> UnitOut:
    found = dict(row._mapping)
    return UnitOut.model_validate({**found, "capabilities": [word for word in found["capabilities"].split(",") if word]})


async def hydrants_near(
    connection: AsyncSession | AsyncConnection, lon: float, lat: float, rows: ColumnElement[bool], *, within_m: float, limit: int
) -> list[HydrantNear]:
    """Hydrants in service around a point (WGS 84), the nearest first; by the index in degrees, then measured."""
    high = degrees(within_m / EARTH_M)
    wide = min(180.0, high / max(0.01, cos(radians(lat))))
    box = func.box(func.point(lon - wide, lat - high), func.point(lon + wide, lat + high))
    place = func.point(hydrants.c.lon, hydrants.c.lat)
    columns = (hydrants.c.code, hydrants.c.kind, hydrants.c.flow_l_s, hydrants.c.lon, hydrants.c.lat)
    inside = select(*columns).where(place.op("<@")(box), hydrants.c.in_service, rows).order_by(place.op("<->")(func.point(lon, lat))).limit(SEARCHED)
    near = [HydrantNear(**row._mapping, distance_m=round(distance_m(lon, lat, row.lon, row.lat), 1)) for row in await connection.execute(inside)]
    return sorted((one for one in near if one.distance_m <= within_m), key=lambda one: one.distance_m)[:limit]
