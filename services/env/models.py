"""Tables of the environment service beside the series that all services with sensors share."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Double, Index, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from shared.areas import Box
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

Moment = DateTime(timezone=True)
Key = Text(collation="C")

outlines = Table(
    "outlines",
    metadata,
    Column("release", Key, primary_key=True, comment="Identifier at the work-safety service"),
    Column("revision", Integer, nullable=False, comment="0 if the release was concluded before any outline was made"),
    Column("release_revision", Integer, nullable=False, comment="Of the report that the outline answers"),
    Column("site", Key),
    Column("substance", Key, comment="CAS registry number"),
    Column("un", Key),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("rate_kg_s", Double),
    Column("amount_kg", Double),
    Column("began_at", Moment),
    Column("method", Text),
    Column("source", Text, comment="Edition and table, or paper and equation"),
    Column("valid", Boolean),
    Column("isolation_m", Double),
    Column("protective_m", Double),
    Column("wind_from_deg", Double),
    Column("wind_speed_m_s", Double),
    Column("wind_station", Text),
    Column("wind_at", Moment),
    Column("stability", Text, comment="Pasquill class A to F; NULL where the method needs none"),
    Column("notes", JSONB(none_as_null=True), comment="What was assumed and what the method leaves out, zh and en"),
    Column("geometry", JSONB(none_as_null=True)),
    Column("extent", Box),
    Column("computed_at", Moment),
    Column("lifted_at", Moment),
    Column("area", Key),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
)
"""The newest outline of each release; earlier revisions stand in the history."""
Index("ix_outlines_extent", outlines.c.extent, postgresql_using="gist")
Index("ix_outlines_active", outlines.c.release, postgresql_where=outlines.c.lifted_at.is_(None))
history_of(outlines)
