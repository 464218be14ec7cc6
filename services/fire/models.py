"""The fire service's tables: calls, responses, stations, units, hydrants, incidents, dispatches, crews' messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    false,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")

calls = Table(
    "calls",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("incident", Text),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("alarms", SmallInteger),
    Column("received_at", Moment, nullable=False),
    Column("entered_at", Moment),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("units", Integer, nullable=False, server_default=text("0")),
    Column("dispatched_at", Moment),
    Column("on_scene_at", Moment),
    Column("closed_at", Moment),
    Column("handling_s", Double),
    Column("response_s", Double),
    Column("quality", SmallInteger, nullable=False, server_default=text("1")),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
"""`id` is `<registry>:<number>`. From `units` on, columns follow from the responses by `calls/domain.py`."""
Index("ix_calls_received_at", calls.c.received_at)
Index("ix_calls_area", calls.c.area)
Index("ix_calls_point", func.point(calls.c.lon, calls.c.lat), postgresql_using="gist")

responses = Table(
    "responses",
    metadata,
    Column("id", Key, primary_key=True),
    Column("call", Key, ForeignKey(calls.c.id), nullable=False),
    Column("unit", Text, nullable=False),
    Column("unit_kind", Text, nullable=False),
    Column("dispatched_at", Moment, nullable=False),
    Column("en_route_at", Moment),
    Column("on_scene_at", Moment),
    Column("transport_at", Moment),
    Column("hospital_at", Moment),
    Column("available_at", Moment),
    Column("turnout_s", Double),
    Column("travel_s", Double),
    Column("response_s", Double),
    Column("quality", SmallInteger, nullable=False),
    *recorded_columns(),
)
"""`id` is `<call>:<unit>`. The three durations and `quality` follow from the times by `calls/domain.py`."""
Index("ix_responses_call", responses.c.call)
Index("ix_responses_dispatched_at", responses.c.dispatched_at)

stations = Table(
    "stations",
    metadata,
    Column("code", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("address", Text),
    Column("vehicles", Integer, comment="Vehicles that it has room for"),
    Column("note", Text),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
Index("ix_stations_point", func.point(stations.c.lon, stations.c.lat), postgresql_using="gist")

units = Table(
    "units",
    metadata,
    Column("code", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("station", Key, ForeignKey(stations.c.code)),
    Column("name_zh", Text),
    Column("name_en", Text),
    Column("capabilities", Text, nullable=False, comment="Sorted words, separated by commas"),
    Column("area", Key, nullable=False),
    *recorded_columns(),
)
"""What a unit is; where it is and what it does stand in tables of their own, which change all the time."""
Index("ix_units_station", units.c.station)

unit_status = Table(
    "unit_status",
    metadata,
    Column("unit", Key, ForeignKey(units.c.code), primary_key=True),
    Column("state", Text, nullable=False),
    Column("state_at", Moment, nullable=False),
    Column("incident", Key, comment="That it is assigned to"),
    *recorded_columns(),
)

unit_reports = Table(
    "unit_reports",
    metadata,
    Column("unit", Key, ForeignKey(units.c.code), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("incident", Key),
    Column("recorded_at", Moment, nullable=False, server_default=text("now()")),
    Column("recorded_by", Text, nullable=False),
)
"""Every report of a unit's state, in whatever order they came; never changed."""


def _positions_as_known(_: datetime) -> FromClause:
    """Where units were at a past moment is not kept: nothing is known."""
    return select(*unit_positions.columns).where(false()).subquery("unit_positions")


unit_positions = Table(
    "unit_positions",
    metadata,
    Column("unit", Key, ForeignKey(units.c.code), primary_key=True),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    Column("at", Moment, nullable=False),
    info={"as_known": _positions_as_known, "made_of": ()},
)

hydrants = Table(
    "hydrants",
    metadata,
    Column("code", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("flow_l_s", Double),
    Column("in_service", Boolean, nullable=False),
    Column("note", Text),
    Column("area", Key, nullable=False),
    Column("lon", Double, nullable=False),
    Column("lat", Double, nullable=False),
    *recorded_columns(),
)
Index("ix_hydrants_point", func.point(hydrants.c.lon, hydrants.c.lat), postgresql_using="gist")

incidents = Table(
    "incidents",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    Column("call", Key, ForeignKey(calls.c.id)),
    Column("release", Key),
    Column("regarding", Text),
    Column("calls", Integer, nullable=False),
    Column("units", Integer, nullable=False, server_default=text("0")),
    Column("dispatched_at", Moment),
    Column("on_scene_at", Moment),
    Column("assembled_at", Moment),
    Column("response_s", Double),
    Column("assembly_s", Double),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
"""`call` is the first one; the responses of units are recorded with it, so an incident without calls gets one when units are sent.
From `units` on, columns follow from the assignments."""
Index("ix_incidents_opened_at", incidents.c.opened_at)
Index("ix_incidents_area", incidents.c.area)
Index("ix_incidents_open", incidents.c.opened_at, postgresql_where=incidents.c.closed_at.is_(None))
Index("uq_incidents_release", incidents.c.release, unique=True, postgresql_where=incidents.c.release.is_not(None))

incident_calls = Table(
    "incident_calls",
    metadata,
    Column("call", Key, ForeignKey(calls.c.id), primary_key=True),
    Column("incident", Key, ForeignKey(incidents.c.id), nullable=False),
)
Index("ix_incident_calls_incident", incident_calls.c.incident)

assignments = Table(
    "assignments",
    metadata,
    Column("incident", Key, ForeignKey(incidents.c.id), primary_key=True),
    Column("unit", Key, ForeignKey(units.c.code), primary_key=True),
    Column("assigned_at", Moment, primary_key=True),
    Column("released_at", Moment),
    Column("on_scene_at", Moment),
    Column("first", Boolean, nullable=False, comment="Whether it belongs to the first assignment of the incident"),
    Column("travel_s", Double),
    Column("travel_times", Text, nullable=False),
)
Index("uq_assignments_unit", assignments.c.unit, unique=True, postgresql_where=assignments.c.released_at.is_(None))
"""Two incidents never have the same unit."""

incident_work = Table(
    "incident_work",
    metadata,
    Column("incident", Key, ForeignKey(incidents.c.id), primary_key=True),
    Column("dispatch", Boolean, nullable=False, comment="Whether units are to be sent"),
    Column("needs", JSONB, comment="What is to be sent, if not what the plan says"),
    Column("wanted", BigInteger, nullable=False, comment="Grows with every reason to look at the incident again"),
    Column("served", BigInteger, nullable=False, server_default=text("0")),
    Column("reroute", Boolean, nullable=False, server_default=false()),
    Column("outline_until", Moment, comment="How long the first message waits for the outline"),
    Column("retry_at", Moment),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("claimed_by", Text),
    Column("claimed_until", Moment),
)
"""What is still to be done for an incident; a claim ends by itself, so that work of a dead process is found again."""
Index("ix_incident_work_undone", incident_work.c.incident, postgresql_where=text("served < wanted OR retry_at IS NOT NULL"))

response_plan = Table(
    "response_plan",
    metadata,
    Column("incident_kind", Key, primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("unit_kinds", ARRAY(Text), nullable=False),
    Column("count", SmallInteger, nullable=False),
    Column("capability", Text),
    Column("source", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
)
"""The city's own plan for a kind of incident; kinds without rows follow the plan in `dispatch/domain.py`."""

releases = Table(
    "releases",
    metadata,
    Column("id", Key, primary_key=True),
    Column("report", JSONB, comment="Data of the newest ReleaseReported"),
    Column("revision", Integer, nullable=False),
    Column("concluded_at", Moment),
    Column("outline", JSONB, comment="Data of the newest OutlineComputed"),
    Column("outline_revision", Integer, nullable=False),
    Column("lifted_at", Moment),
)
"""What is known of releases by the events of others, in whatever order these come."""

closures = Table(
    "closures",
    metadata,
    Column("id", Key, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("geometry", JSONB),
    Column("begins_at", Moment),
    Column("ends_at", Moment),
    Column("ended_at", Moment),
)
"""Closed roads as traffic told of them: obeyed where our own copy of the network answers."""

crew_messages = Table(
    "crew_messages",
    metadata,
    Column("incident", Key, ForeignKey(incidents.c.id), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False, unique=True),
    Column("area", Key, nullable=False),
    Column("units", ARRAY(Text), nullable=False),
    Column("missing", ARRAY(Text), nullable=False),
    Column("digest", Text, nullable=False),
    Column("content", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""`position` grows in the order of commits (`crew_counter`), so a terminal that resumes misses none."""

crew_counter = Table("crew_counter", metadata, Column("position", BigInteger, primary_key=True))

crew_acknowledgements = Table(
    "crew_acknowledgements",
    metadata,
    Column("incident", Key, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("unit", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("recorded_by", Text, nullable=False),
)

for table in (calls, responses, stations, units, unit_status, hydrants, incidents):
    history_of(table)
