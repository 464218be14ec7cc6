"""Tables of the water service beside the series that all services with sensors share."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Double, ForeignKey, Index, Table, Text, func

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()

gauges = Table(
    "gauges",
    metadata,
    Column("code", Text(collation="C"), primary_key=True),
    *(Column(name, Text) for name in ("name_zh", "name_en", "river")),
    *(Column(threshold, Double) for threshold in ("blue", "yellow", "orange", "red")),
    Column("area", Text(collation="C"), nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("name_zh IS NOT NULL OR name_en IS NOT NULL", name="named"),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
Index("ix_gauges_area", gauges.c.area)
Index("ix_gauges_point", func.point(gauges.c.lon, gauges.c.lat), postgresql_using="gist")
history_of(gauges)

stages = Table(
    "stages",
    metadata,
    Column("gauge", Text(collation="C"), ForeignKey(gauges.c.code), primary_key=True),
    Column("stage", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("water_level", Double, nullable=False),
    *recorded_columns(),
)
"""The present stage of each gauge and the reading with which it began, in m; the stages before it stand in the history."""
history_of(stages)
