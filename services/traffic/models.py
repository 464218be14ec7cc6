"""Tables of the traffic service beside the series that all services with sensors share."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Double, Index, Integer, LargeBinary, SmallInteger, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.areas import Box
from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")
ROADS = "roads"
"""Id of the one network in force."""

network_contents = Table(
    "network_contents",
    metadata,
    Column("version", Key, primary_key=True),
    Column("content", LargeBinary, nullable=False, comment="Arrow IPC, as shared/roads writes it"),
    Column("kept_at", Moment, nullable=False, server_default=func.clock_timestamp()),
)
"""The arrays of the network in force and of the one before. One value is read and written ten times sooner than a row for each arc."""

networks = Table(
    "networks",
    metadata,
    Column("id", Key, primary_key=True),
    Column("version", Key, nullable=False),
    Column("source", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("nodes", Integer, nullable=False),
    Column("arcs", Integer, nullable=False),
    Column("length_km", Double, nullable=False),
    Column("notes", Text),
    Column("area", Key, nullable=False),
    *recorded_columns(),
    CheckConstraint("id = 'roads'", name="one"),
)
"""One row: the network in force. Its history says which one was in force when."""
history_of(networks)

roads = Table(
    "roads",
    metadata,
    Column("id", Key, primary_key=True),
    Column("from_node", Text, nullable=False),
    Column("to_node", Text, nullable=False),
    Column("way", Text),
    Column("name", Text),
    Column("road_class", Text),
    Column("length_m", Double, nullable=False),
    Column("car_s", Double, nullable=False),
    Column("siren_s", Double, nullable=False),
    Column("lanes", SmallInteger),
    Column("area", Key, nullable=False),
    Column("geometry", JSONB(none_as_null=True), nullable=False),
    Column("extent", Box, nullable=False),
    *recorded_columns(),
)
"""The arcs of the network in force, for those who draw or count them; searches read `network_contents`. `id` is `<from>-<to>`, with a number if parallel."""
Index("ix_roads_extent", roads.c.extent, postgresql_using="gist")
history_of(roads)

detectors = Table(
    "detectors",
    metadata,
    Column("code", Key, primary_key=True),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("road", Text),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("timezone", Text, nullable=False, comment="IANA zone in which the detector counts its days"),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
Index("ix_detectors_point", func.point(detectors.c.lon, detectors.c.lat), postgresql_using="gist")
history_of(detectors)

adjacency = Table(
    "adjacency",
    metadata,
    Column("id", Key, primary_key=True),
    Column("from_detector", Key, nullable=False),
    Column("to_detector", Key, nullable=False),
    Column("weight", Double, nullable=False),
    Column("area", Key, nullable=False, comment="That of the detector at its beginning"),
    *recorded_columns(),
    CheckConstraint("weight > 0 AND weight <= 1", name="weight"),
)
"""The cells of the weighted adjacency matrix of detectors that are not zero. `id` is `<from>:<to>`."""
Index("ix_adjacency_from_detector", adjacency.c.from_detector)
Index("ix_adjacency_area", adjacency.c.area)
history_of(adjacency)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("occurred_at", Moment, nullable=False),
    Column("cleared_at", Moment),
    Column("road_class", Text),
    Column("pedestrian", Boolean),
    Column("cyclist", Boolean),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
"""`id` is `<registry>:<number>`."""
Index("ix_incidents_occurred_at", incidents.c.occurred_at)
Index("ix_incidents_area", incidents.c.area)
Index("ix_incidents_point", func.point(incidents.c.lon, incidents.c.lat), postgresql_using="gist")
history_of(incidents)

closures = Table(
    "closures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text),
    Column("begins_at", Moment, nullable=False),
    Column("ends_at", Moment),
    Column("ended_at", Moment),
    Column("regarding", Text),
    Column("release", Text),
    Column("outline", Integer, comment="Revision of the release's outline that the geometry is"),
    Column("arcs", Integer, nullable=False),
    Column("network", Text),
    Column("area", Key, nullable=False),
    Column("geometry", JSONB(none_as_null=True)),
    Column("extent", Box),
    *recorded_columns(),
    CheckConstraint("ends_at > begins_at", name="times"),
    CheckConstraint("(geometry IS NULL) = (extent IS NULL)", name="extent"),
)
"""What is closed, was or will be. `ended_at`: when somebody ended it before its time, or had to because it had none.
A release without geometry is one whose outline was lifted before it came."""
Index("ix_closures_extent", closures.c.extent, postgresql_using="gist")
Index("ix_closures_begins_at", closures.c.begins_at)
Index("ux_closures_release", closures.c.release, unique=True)
Index("ix_closures_open", closures.c.ends_at, postgresql_where=text("ended_at IS NULL"))
history_of(closures)
