"""Tables of incidents: what the city deals with as one, what belongs to it, who was asked to do what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, DateTime, Double, ForeignKey, Index, Integer, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from services.hub.models import Base
from shared.datasets.history import history_of, recorded_columns

Moment = DateTime(timezone=True)
Key = Text(collation="C")

incidents = Table(
    "incidents",
    Base.metadata,
    Column("id", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("area", Key, nullable=False),
    Column("place", Text),
    Column("lon", Double),
    Column("lat", Double),
    Column("exercise", Boolean, nullable=False, server_default=text("false")),
    Column("un", Text),  # UN number of what escapes
    Column("grade", SmallInteger, nullable=False),
    Column("grade_basis", Text, nullable=False),
    Column("grade_reason", Text, nullable=False),
    Column("deaths", Integer),
    Column("serious_injuries", Integer),
    Column("loss_cny", Double),
    Column("people_threatened", Integer),
    Column("response_level", SmallInteger),
    Column("response_authority", Text),
    Column("commander", Text),
    Column("state", Text, nullable=False, server_default=text("'open'")),
    Column("opened_at", Moment, nullable=False),
    Column("closing_proposed_at", Moment),  # What it was opened for is over; closing is an officer's decision
    Column("closed_at", Moment),
    Column("summary", Text),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
    CheckConstraint("grade BETWEEN 1 AND 4 AND response_level BETWEEN 1 AND 4", name="scales"),
    CheckConstraint("(response_level IS NULL) = (response_authority IS NULL)", name="response"),
    CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL) AND (state = 'open' OR summary IS NOT NULL)", name="closed"),
)
Index("ix_incidents_opened_at", incidents.c.opened_at)
Index("ix_incidents_area", incidents.c.area)
history_of(incidents)

incident_subjects = Table(
    "incident_subjects",
    Base.metadata,
    Column("regarding", Key, primary_key=True),  # releases/…: events that say so belong to the incident
    Column("incident", Key, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("joined_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    Column("joined_by", Text, nullable=False),
)
"""One incident for each subject, whoever opens it first."""

incident_events = Table(
    "incident_events",
    Base.metadata,
    Column("incident", Key, ForeignKey("incidents.id"), primary_key=True),
    Column("position", BigInteger, ForeignKey("event_log.position"), primary_key=True),
    Column("attached_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
    Column("attached_by", Text, nullable=False),
)
"""Events that an officer attached by hand."""

incident_entries = Table(
    "incident_entries",
    Base.metadata,
    Column("id", Key, primary_key=True),
    Column("incident", Key, ForeignKey("incidents.id"), nullable=False),
    Column("kind", Text, nullable=False),  # decision, note, or what the hub itself notes
    Column("text", Text, nullable=False),
    Column("coverage", JSONB(none_as_null=True)),  # Of the answer that a decision rests on
    Column("at", Moment, nullable=False),
    Column("by", Text, nullable=False),
    Column("recorded_at", Moment, nullable=False, server_default=text("clock_timestamp()")),
)
"""What officers wrote into the timeline; never changed."""
Index("ix_incident_entries_incident", incident_entries.c.incident, incident_entries.c.recorded_at, incident_entries.c.id)

tasks = Table(
    "tasks",
    Base.metadata,
    Column("id", Key, primary_key=True),
    Column("incident", Key, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("area", Key, nullable=False),  # Of the incident
    Column("sector", Text, nullable=False),
    Column("what_zh", Text, nullable=False),
    Column("what_en", Text, nullable=False),
    Column("due_at", Moment),
    Column("state", Text, nullable=False, server_default=text("'assigned'")),
    Column("note", Text),  # What the sector said to its last answer, or why the task was waived
    Column("assigned_at", Moment, nullable=False),
    Column("answered_at", Moment),
    Column("answered_by", Text),
    *recorded_columns(),
    CheckConstraint("(state = 'assigned') = (answered_at IS NULL)", name="answered"),
)
Index("ix_tasks_sector", tasks.c.sector, tasks.c.state)
history_of(tasks)
