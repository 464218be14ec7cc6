"""Tables of measured series: what is measured where, the values by month, and their hourly roll-ups."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Double, Identity, Index, Integer, SmallInteger, Table, Text, UniqueConstraint, text

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

Moment = DateTime(timezone=True)
metadata = new_metadata()

series = Table(
    "series",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("feature", Text(collation="C"), nullable=False, comment="Code of the station, detector or gauge"),
    Column("property", Text(collation="C"), nullable=False),
    Column("unit", Text, nullable=False, comment="UCUM code of the values"),
    Column("timing", Text, nullable=False, comment="Whether senders' times are instants, or the beginning or end of an interval"),
    Column("interval_s", Integer),
    Column("hour_needs", SmallInteger, nullable=False, comment="Values without which an hour is not valid"),
    Column("timezone", Text, nullable=False, comment="IANA zone in which the place counts its days"),
    Column("whole_hours", Boolean, nullable=False, comment="Whether that zone has always been whole hours from UTC"),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("area", Text(collation="C"), nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    UniqueConstraint("feature", "property"),
    CheckConstraint("timing IN ('instant', 'begin', 'end')", name="timing"),
    CheckConstraint("timing = 'instant' OR interval_s > 0", name="interval"),
)
"""Place and name are the feature's, repeated so that a question about values needs one join."""
history_of(series)

observations = Table(
    "observations",
    metadata,
    Column("series", Integer, primary_key=True, autoincrement=False),
    Column("time", Moment, primary_key=True, comment="Beginning of the interval, or the instant"),
    Column("value", Double, nullable=False),
    Column("quality", SmallInteger, nullable=False),
    *recorded_columns(),
    postgresql_partition_by="RANGE (time)",
)
"""One partition for each month (UTC), made by `make_observation_partition`. A foreign key to `series` would cost a look-up for each row;
loads resolve the series themselves, and a series is never deleted."""
Index("ix_observations_time", observations.c.time, postgresql_using="brin")
Index("ix_observations_uncounted", observations.c.time, postgresql_where=text("quality > 3"))
"""The few values that are in no roll-up (`COUNTED`)."""
history_of(observations)

observations_hourly = Table(
    "observations_hourly",
    metadata,
    Column("series", Integer, primary_key=True, autoincrement=False),
    Column("hour", Moment, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("sum", Double, nullable=False),
    Column("mean", Double, nullable=False),
    Column("m2", Double, nullable=False, comment="Sum of squared deviations from the mean"),
    Column("min", Double, nullable=False),
    Column("max", Double, nullable=False),
    postgresql_with={"fillfactor": "70"},
)
"""Roll-ups by hour (UTC) of all values that are not flagged bad, written in the transaction of the values."""
