"""Units as they are now, and hydrants near a point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import cos, degrees, radians
from typing import Any

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
    found = (await connection.execute(hydrants_inside(around(lon, lat, within_m)).where(rows))).mappings()
    return nearest([dict(row) for row in found], lon, lat, within_m=within_m, limit=limit)


def around(lon: float, lat: float, within_m: float) -> dict[str, float]:
    """A point and the box around it, in degrees."""
    high = degrees(within_m / EARTH_M)
    wide = min(180.0, high / max(0.01, cos(radians(lat))))
    return {"lon": lon, "lat": lat, "west": lon - wide, "east": lon + wide, "south": lat - high, "north": lat + high}


def hydrants_inside(place: Mapping[str, Any]) -> Select[*tuple[Any, ...]]:
    """Hydrants in service in such a box, those first that are nearest in degrees."""
    box = func.box(func.point(place["west"], place["south"]), func.point(place["east"], place["north"]))
    point = func.point(hydrants.c.lon, hydrants.c.lat)
    columns = (hydrants.c.code, hydrants.c.kind, hydrants.c.flow_l_s, hydrants.c.lon, hydrants.c.lat)
    inside = select(*columns).where(point.op("<@")(box), hydrants.c.in_service)
    return inside.order_by(point.op("<->")(func.point(place["lon"], place["lat"]))).limit(SEARCHED)


def nearest(found: Iterable[Mapping[str, Any]], lon: float, lat: float, *, within_m: float, limit: int) -> list[HydrantNear]:
    """The nearest of those that were found."""
    near = [HydrantNear(**row, distance_m=round(distance_m(lon, lat, row["lon"], row["lat"]), 1)) for row in found]
    return sorted((one for one in near if one.distance_m <= within_m), key=lambda one: one.distance_m)[:limit]
