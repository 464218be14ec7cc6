"""The fire service's tables: calls for service and the responses of units to them."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Double, ForeignKey, Index, Integer, SmallInteger, Table, Text, func, text

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

for table in (calls, responses):
    history_of(table)
