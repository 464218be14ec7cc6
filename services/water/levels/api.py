"""Readings of gauges, loaded in bulk; stages follow in the same transaction."""

from __future__ import annotations

from services.water.levels.actions import follow_water
from services.water.levels.schemas import WATER
from shared.series.sharing import readings_router

_EXAMPLE = {"gauge": "61104700", "property": "water_level", "time": "2026-06-22T08:00:00+08:00", "value": 38.21}
router = readings_router(WATER, "water:write", _EXAMPLE, follow_water)
