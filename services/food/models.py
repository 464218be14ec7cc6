"""The food service's tables: premises, their inspections, what was found."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, DateTime, Double, ForeignKey, Index, Table, Text, func, text

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")

premises = Table(
    "premises",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text),
    Column("address", Text),
    Column("postal_code", Text),
    Column("area", Key, nullable=False),
    Column("lon", Double),
    Column("lat", Double),
    *recorded_columns(),
    CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point"),
)
"""Places where food is made, stored, served or sold. `id` is `<registry>:<number>`: numbers are unique within the registry that gave them."""
Index("ix_premises_area", premises.c.area)
Index("ix_premises_point", func.point(premises.c.lon, premises.c.lat), postgresql_using="gist")

inspections = Table(
    "inspections",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("premises", Key, ForeignKey(premises.c.id), nullable=False),
    Column("inspected_at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("score", Double),
    Column("failed", Boolean, nullable=False, server_default=text("false")),
    Column("edition", Text),
    *recorded_columns(),
    CheckConstraint("score BETWEEN 0 AND 100", name="score"),
)
"""`failed` follows from the score and the findings by the rule that `edition` names (`inspections/domain.py`)."""
Index("ix_inspections_premises", inspections.c.premises, inspections.c.inspected_at)
Index("ix_inspections_inspected_at", inspections.c.inspected_at)

findings = Table(
    "findings",
    metadata,
    Column("id", Key, primary_key=True),
    Column("registry", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("premises", Key, ForeignKey(premises.c.id), nullable=False),
    Column("inspection", Key, ForeignKey(inspections.c.id)),
    Column("found_at", Moment, nullable=False),
    Column("code", Text, nullable=False),
    Column("risk", Text, nullable=False),
    Column("description", Text),
    *recorded_columns(),
    CheckConstraint("risk IN ('low', 'moderate', 'high')", name="risk"),
)
"""Violations. `inspection` is NULL as long as no inspection of the premises at that time is recorded."""
Index("ix_findings_premises", findings.c.premises, findings.c.found_at)
Index("ix_findings_inspection", findings.c.inspection)
Index("ix_findings_found_at", findings.c.found_at)

for table in (premises, inspections, findings):
    history_of(table)
