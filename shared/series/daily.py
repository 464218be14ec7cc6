"""Days of a series in its own zone: a view over the hourly roll-ups, and the same from rows as they were known at a moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Date, DateTime, Double, FromClause, Integer, SmallInteger, Table, cast, func, select

from shared.database import new_metadata
from shared.datasets.history import as_known
from shared.series.properties import COUNTED
from shared.series.tables import Moment, observations, series

FEATURE = ("feature", "property", "unit", "name_zh", "name_en", "area", "lon", "lat")
"""Columns that a day has from its series."""


def days_as_known(known_at: datetime) -> FromClause:
    """The days as they would have been answered at `known_at`, from the values themselves."""
    values, described = as_known(observations, known_at), as_known(series, known_at)
    local = func.timezone(described.c.timezone, values.c.time)
    hour = (values.c.time - (local - func.date_trunc("hour", local))).label("hour")
    hours = (
        select(values.c.series, hour, func.avg(values.c.value).label("mean"), func.min(values.c.value).label("min"), func.max(values.c.value).label("max"))
        .join(described, described.c.id == values.c.series)
        .where(values.c.quality <= COUNTED.value)
        .group_by(values.c.series, hour, described.c.hour_needs)
        .having(func.count() >= described.c.hour_needs)
        .subquery("hours")
    )
    date = cast(func.timezone(described.c.timezone, hours.c.hour), Date)
    named = [described.c[name] for name in FEATURE]
    return (
        select(
            hours.c.series,
            *named,
            date.label("date"),
            func.timezone(described.c.timezone, cast(date, DateTime())).label("day"),
            func.count().label("hours"),
            func.avg(hours.c.mean).label("mean"),
            func.min(hours.c.min).label("min"),
            func.max(hours.c.max).label("max"),
        )
        .join(described, described.c.id == hours.c.series)
        .group_by(hours.c.series, *named, described.c.timezone, date)
        .subquery("observations_daily")
    )


observations_daily = Table(
    "observations_daily",
    new_metadata(),
    Column("series", Integer, primary_key=True),
    *(Column(name, series.c[name].type, nullable=series.c[name].nullable) for name in FEATURE),
    Column("date", Date, primary_key=True),
    Column("day", Moment, nullable=False, comment="Beginning of the day in the series' zone"),
    Column("hours", SmallInteger, nullable=False, comment="Valid hours"),
    Column("mean", Double, nullable=False, comment="Mean of the valid hourly means"),
    Column("min", Double, nullable=False),
    Column("max", Double, nullable=False),
    info={"as_known": days_as_known, "made_of": (observations, series)},
)
"""A view (series_0001), so it lies on a metadata of its own that migrations are not compared with."""
