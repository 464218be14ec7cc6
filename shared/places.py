"""Where the rows of a load are: their point becomes WGS 84, their area a known code, found from the point where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator
from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.sql import false, true

from shared.area_directory import AreaDirectory
from shared.caller import Caller
from shared.coordinates import Crs, to_wgs84
from shared.row_models import AreaCode, Checked, RowModel


class PlacedRow(RowModel):
    """A row that lies somewhere: in an area, within a coarser one, at a point, or several of these."""

    area: Annotated[AreaCode | None, Field(description="The finest area that is known; it is taken as it is")] = None
    within: Annotated[AreaCode | None, Field(description="A coarser area: the point finds the finest one inside it; without point or polygon it stays")] = None
    lon: Annotated[float | None, Field(ge=-180, le=180, description="Degrees in the system that `crs` names")] = None
    lat: Annotated[float | None, Field(ge=-90, le=90, description="Degrees in the system that `crs` names")] = None
    crs: Annotated[Crs | None, Field(description="System of lon and lat; they are kept as WGS 84")] = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.lon is None) != (self.lat is None):
            raise ValueError("lon and lat come together")
        if self.lon is not None and self.crs is None:
            raise ValueError("a point needs its crs: wgs84, cgcs2000, gcj02 or bd09; an undeclared GCJ-02 point is 500 m wrong")
        if self.area is not None and self.within is not None:
            raise ValueError("area says where it is, within says where to look; give one of them")
        if self.area is None and self.within is None and self.lon is None:
            raise ValueError("give its area, or a point to find it from")
        return self


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row lies."""

    area: str
    lon: float | None
    lat: float | None
    """Degrees, WGS 84."""


Placed = TypeVar("Placed", bound=PlacedRow)


async def place_rows(
    batch: Checked[Placed], areas: AreaDirectory, caller: Caller, city: Sequence[str], day: Callable[[Placed], date] | None = None
) -> dict[int, Place]:
    """The place of each row; rows whose area is unknown, cannot be found, or is not the caller's or the city's are rejected.

    `city` are the prefixes that the city answers for; `day` says by the areas of which day a row is located, today's if not given.
    """
    points = _points(batch)
    found = await _located(batch, areas, points, day)
    stated = {number: row.area or found.get(number) or row.within for number, row in batch.rows.items()}
    known = await areas.known(code for code in stated.values() if code)
    places = {}
    for number, area in stated.items():
        if area is None:
            batch.reject(number, "lon", "unknown-place", "No area of the table holds this point. State its area, or within which it lies.")
        elif area not in known:
            member = "area" if batch.rows[number].area else "within"
            batch.reject(number, member, "unknown-area", f"The area table has no {area}. The hub's GET /areas lists what it has.")
        elif not (caller.sees_area(area) and ("*" in city or area.startswith(tuple(city)))):
            batch.reject(number, "area", "outside-areas", f"The area {area} is not among those of this city that the token covers.")
        else:
            places[number] = Place(area, *points.get(number, (None, None)))
    return places


def _points(batch: Checked[Placed]) -> dict[int, tuple[float, float]]:
    """The points of the rows that have one, as WGS 84, rounded to a centimetre so that the same point is the same again."""
    points: dict[int, tuple[float, float]] = {}
    for crs in Crs:
        given = [(number, row.lon, row.lat) for number, row in batch.rows.items() if row.crs is crs and row.lon is not None and row.lat is not None]
        lon, lat = to_wgs84([x for _, x, _ in given], [y for _, _, y in given], crs)
        points |= {number: (x, y) for (number, _, _), x, y in zip(given, np.round(lon, 7).tolist(), np.round(lat, 7).tolist(), strict=True)}
    return points


async def _located(
    batch: Checked[Placed], areas: AreaDirectory, points: dict[int, tuple[float, float]], day: Callable[[Placed], date] | None
) -> dict[int, str | None]:
    wanted = [number for number in points if batch.rows[number].area is None]
    if not wanted:
        return {}
    rows = [batch.rows[number] for number in wanted]
    today = datetime.now(UTC).date()
    days = [day(row) if day else today for row in rows]
    found = await areas.locate([points[number] for number in wanted], [row.within for row in rows], days)
    return dict(zip(wanted, found, strict=True))


def covers(caller: Caller, area: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that a recorded row lies in the caller's areas."""
    return lies_in(caller.areas, area)


def lies_in(areas: Sequence[str], area: ColumnElement[str]) -> ColumnElement[bool]:
    """The condition that a recorded row lies in areas, given as code prefixes; `*` is everywhere."""
    return true() if "*" in areas else or_(false(), *(func.left(area, len(prefix)) == prefix for prefix in areas))
