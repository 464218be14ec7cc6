"""Bulk loads of observations: check → load → record crossings → follow the wind around releases."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.env.observations.schemas import AIR
from services.env.outlines.actions import WIND, follow_wind
from shared.auth import Caller
from shared.events.env import ObservationExceeded
from shared.outbox.record import record_all
from shared.series import Crossing, Loaded
from shared.series.sharing import readings_router

_EXAMPLE = {"station": "430302001", "property": "pm25", "time": "2026-11-22T08:00:00+08:00", "value": 35.0}


async def _react(session: AsyncSession, loaded: Loaded, now: datetime, caller: Caller) -> None:
    """Tell of limits that were crossed; a changed wind moves the outlines of releases."""
    record_all(session, [_exceeded(crossing) for crossing in loaded.crossings])
    if any(measured in WIND for _, measured in loaded.measured):
        await follow_wind(session, caller.subject, now)


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


router = readings_router(AIR, "env:write", _EXAMPLE, _react)
