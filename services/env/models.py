"""Tables of the environment service beside the series that all services with sensors share."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, Double, Index, Table, Text, func

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns


class StationKind(StrEnum):
    """What surrounds a station, and so what it stands for (after HJ 664-2013)."""

    URBAN = "urban"
    SUBURBAN = "suburban"
    RURAL = "rural"
    BACKGROUND = "background"
    TRAFFIC = "traffic"
    INDUSTRIAL = "industrial"
    RIVER = "river"
    OTHER = "other"


metadata = new_metadata()

stations = Table(
    "stations",
    metadata,
    Column("code", Text(collation="C"), primary_key=True),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("kind", Text, nullable=False),
    Column("area", Text(collation="C"), nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("timezone", Text, nullable=False, comment="IANA zone in which the station counts its days"),
    *recorded_columns(),
    CheckConstraint("name_zh IS NOT NULL OR name_en IS NOT NULL", name="named"),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
Index("ix_stations_point", func.point(stations.c.lon, stations.c.lat), postgresql_using="gist")
history_of(stations)
