"""Tables of warnings: as they are drafted, approved and issued; and apart from them what the public may see."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.hub.models import Base
from shared.areas import Box
from shared.datasets.history import history_of, recorded_columns

Moment = DateTime(timezone=True)
Key = Text(collation="C")
EXPLAINED = ("event", "headline", "description", "instruction", "area_name")
"""What is said in Chinese and in English: columns `<name>_zh`, `<name>_en`."""

warnings = Table(
    "warnings",
    Base.metadata,
    Column("id", Key, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("incident", Key, ForeignKey("incidents.id"), index=True),
    Column("previous", Key, ForeignKey("warnings.id")),
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("restriction", Text),
    Column("level", SmallInteger, nullable=False),
    Column("hazard", Text, nullable=False),
    Column("categories", ARRAY(Text), nullable=False),
    Column("response_types", ARRAY(Text), nullable=False),
    Column("urgency", Text, nullable=False),
    Column("certainty", Text, nullable=False),
    *(Column(f"{name}_{language}", Text, nullable=name == "instruction") for name in EXPLAINED for language in ("zh", "en")),
    Column("area", Key, nullable=False),
    Column("areas", ARRAY(Text), nullable=False),
    Column("geometry", JSONB(none_as_null=True)),
    Column("extent", Box),
    Column("onset", Moment),
    Column("expires", Moment, nullable=False),
    Column("recipients", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'draft'")),
    Column("author", Text, nullable=False),
    Column("editors", ARRAY(Text), nullable=False),
    Column("drafted_at", Moment, nullable=False),
    Column("approver", Text),
    Column("approved_at", Moment),
    Column("authority", Text),
    Column("legal_basis", Text),
    Column("issued_by", Text),
    Column("identifier", Text, unique=True),
    Column("sender", Text),
    Column("sent", Moment),
    Column("references", JSONB(none_as_null=True)),
    Column("document", LargeBinary),
    Column("followed_by", Key, ForeignKey("warnings.id")),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    *recorded_columns(),
    UniqueConstraint("id", "status", "scope"),
    CheckConstraint("status IN ('Actual', 'Exercise', 'Test') AND scope IN ('Public', 'Restricted') AND kind IN ('Alert', 'Update', 'Cancel')", name="kinds"),
    CheckConstraint("level BETWEEN 1 AND 4", name="level"),
    CheckConstraint("approver <> ALL (editors)", name="second_person"),
    CheckConstraint("state IN ('draft', 'withdrawn') OR (approver IS NOT NULL AND approved_at IS NOT NULL)", name="approved"),
    CheckConstraint(
        "(state = 'issued') = (document IS NOT NULL) AND (state <> 'issued' OR num_nulls(authority, legal_basis, issued_by, identifier, sender, sent) = 0)",
        name="issued",
    ),
    CheckConstraint("(kind = 'Alert') = (previous IS NULL)", name="previous"),
)
Index("ux_warnings_previous", warnings.c.previous, unique=True, postgresql_where=warnings.c.state == "issued")
Index("ix_warnings_area", warnings.c.area)
Index("ix_warnings_extent", warnings.c.extent, postgresql_using="gist")
history_of(warnings)

public_warnings = Table(
    "public_warnings",
    Base.metadata,
    Column("warning", Key, primary_key=True),
    Column("status", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("hazard", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("headline_zh", Text, nullable=False),
    Column("headline_en", Text, nullable=False),
    Column("authority", Text, nullable=False),
    Column("sent", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("followed", Boolean, nullable=False, server_default=text("false")),
    Column("document", LargeBinary, nullable=False),
    ForeignKeyConstraint(["warning", "status", "scope"], ["warnings.id", "warnings.status", "warnings.scope"]),
    CheckConstraint("status = 'Actual' AND scope = 'Public'", name="actual_and_public"),
)
"""All that public channels read. No exercise can be in it: the status is the warning's own, by the foreign key, and only `Actual` is let in."""
Index("ix_public_warnings_sent", public_warnings.c.sent)
