"""What measures: each feature (gauge, station, sensor) has a series for each property, which bears its names and its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Table, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.datasets.aggregate.zones import whole_hours
from shared.loads import merge
from shared.series.properties import Observed, Timing, hour_needs
from shared.series.tables import series

FOLLOWED = ("name_zh", "name_en", "area", "lon", "lat")
"""Columns that a feature's table and its series share."""
Told = tuple[Timing, int | None]
"""What the times of a property mean, and the length of its interval in seconds."""
INSTANT: Told = (Timing.INSTANT, None)


async def declare_series(
    session: AsyncSession, features: Iterable[Mapping[str, Any]], observed: Observed, timezone: str, recorded_by: str, **told: Told
) -> None:
    """A series for each property of new features, rows with `code` and `FOLLOWED`. `told` names properties that are no instants."""
    rows = [_series(feature, code, observed, timezone, told.get(code, INSTANT)) for feature in features for code in observed.by_code]
    await merge(session, series, dict(enumerate(rows)), key=("feature", "property"), recorded_by=recorded_by)


async def follow_features(session: AsyncSession, table: Table, codes: Collection[str], recorded_by: str) -> None:
    """Give the series of corrected features their new names and places."""
    if not codes:
        return
    values = {name: table.c[name] for name in FOLLOWED} | {"recorded_by": recorded_by}
    corrected = table.c.code == func.any(sorted(codes))
    await session.execute(update(series).values(values).where(series.c.feature == table.c.code, corrected))


def _series(feature: Mapping[str, Any], code: str, observed: Observed, timezone: str, told: Told) -> dict[str, Any]:
    timing, interval_s = told
    meaning = {"unit": observed.by_code[code].unit, "timing": timing.value, "interval_s": interval_s, "hour_needs": hour_needs(interval_s)}
    zone = {"timezone": timezone, "whole_hours": whole_hours(timezone)}
    return {"feature": feature["code"], "property": code, **meaning, **zone, **{name: feature[name] for name in FOLLOWED}}
