"""Tables of the water service."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Double, Index, Integer, Table, Text, func

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()

sites = Table(
    "sites",
    metadata,
    Column("code", Text(collation="C"), primary_key=True),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("kind", Text, nullable=False),
    Column("capacity", Integer),
    Column("inspected_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),
    Column("area", Text(collation="C"), nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("name_zh IS NOT NULL OR name_en IS NOT NULL", name="named"),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
Index("ix_sites_area", sites.c.area)
Index("ix_sites_point", func.point(sites.c.lon, sites.c.lat), postgresql_using="gist")
history_of(sites)
