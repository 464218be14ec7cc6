"""Air quality index of stations, by hour and by day, computed when asked from the hourly roll-ups."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from services.env.air.actions import Span, days_of, hours_of, read_hourly, visible_stations
from services.env.air.schemas import DailyOut, HourlyOut
from shared.auth import Caller, may
from shared.database import Reader
from shared.errors import InvalidRequest
from shared.row_models import Reference
from shared.service import Now

router = APIRouter(tags=["air quality"], prefix="/aqi")
Codes = Annotated[list[Reference] | None, Query(description="Codes of stations, repeated; all that are visible if absent", max_length=100)]
MayRead = Annotated[Caller, may("env:read", "hub:query")]
CELLS = 20_000
"""Most station-hours of one answer by hour."""
DAYS = 400
"""Most days of one answer by day."""
EARLIEST = datetime(1950, 1, 1, tzinfo=UTC)


@router.get("/hourly", summary="Air quality index by hour", response_model=HourlyOut)
async def hourly(
    request: Request,
    reader: Reader,
    caller: MayRead,
    now: Now,
    station: Codes = None,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="Hours beginning at or after it; 24 hours before `until` if absent")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Hours beginning before it; now if absent")] = None,
) -> dict[str, Any]:
    """The real-time index of HJ 633, whose edition goes by the date of observation."""
    end = _within(until or now + timedelta(hours=1), now, "/until")
    start = _within(since or end - timedelta(days=1), now, "/from")
    if start >= end:
        raise InvalidRequest("from must lie before until.", pointer="/from")
    found = await visible_stations(reader, caller, request.app.state.runtime.settings.areas, station)
    hours = (end - start) / timedelta(hours=1)
    if hours * len(found) > CELLS:
        raise InvalidRequest(
            f"{len(found)} stations over {hours:.0f} h are more than {CELLS} station-hours; narrow the time or name stations.", pointer="/from"
        )
    return hours_of(await read_hourly(reader, found, Span.of(start - timedelta(hours=23), end)), start)


@router.get("/daily", summary="Air quality index by day", response_model=DailyOut)
async def daily(
    request: Request,
    reader: Reader,
    caller: MayRead,
    now: Now,
    station: Codes = None,
    since: Annotated[date | None, Query(alias="from", description="First day; 30 days before `until` if absent")] = None,
    until: Annotated[date | None, Query(description="First day no longer wanted; tomorrow if absent")] = None,
) -> dict[str, Any]:
    """The daily index of HJ 633 by the days of each station's zone. Means need 20 valid hours, ozone takes the greatest 8 h mean."""
    end = until or (now + timedelta(days=1)).date()
    start = since or max(end, date(1950, 2, 1)) - timedelta(days=30)
    if not EARLIEST.date() <= start < end or end > (now + timedelta(days=3)).date():
        raise InvalidRequest("from must lie before until, between 1950 and tomorrow.", pointer="/from")
    found = await visible_stations(reader, caller, request.app.state.runtime.settings.areas, station)
    if (end - start).days > DAYS or (end - start).days * 24 * len(found) > 10 * CELLS:
        raise InvalidRequest(
            f"At most {DAYS} days and {10 * CELLS // 24} station-days are answered at once; narrow the time or name stations.", pointer="/from"
        )
    wide = Span.of(
        datetime.combine(start, datetime.min.time(), UTC) - timedelta(hours=14), datetime.combine(end, datetime.min.time(), UTC) + timedelta(hours=12)
    )
    return days_of(await read_hourly(reader, found, wide), start, end)


def _within(moment: datetime, now: datetime, pointer: str) -> datetime:
    """A moment that observations can have, in UTC."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:
        utc = datetime.max.replace(tzinfo=UTC)
    if not EARLIEST <= utc <= now + timedelta(days=2):
        raise InvalidRequest("The time must lie between 1950 and tomorrow.", pointer=pointer)
    return utc
