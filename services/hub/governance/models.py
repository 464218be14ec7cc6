"""The access record: one row for each dataset that a question named. Insert-only, by month."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, SmallInteger, Table, Text

from services.hub.models import Base
from shared.datasets.history import history_of, recorded_columns

Moment = DateTime(timezone=True)
Key = Text(collation="C")

accesses = Table(
    "accesses",
    Base.metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("request", Key, nullable=False, comment="Several rows of one question share it"),
    Column("subject", Key, nullable=False),
    Column("actor", Text, comment="Who asked on the subject's behalf"),
    Column("purpose", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("dataset", Key, nullable=False),
    Column("service", Key, nullable=False, comment="Who owns the dataset"),
    Column("fields", Text, nullable=False),
    Column("asked", Text, nullable=False, comment="JSON; values of personal fields are left out"),
    Column("answered", Text, nullable=False, comment="Sources that answered"),
    Column("missing", Text, nullable=False, comment="Sources that did not"),
    Column("status", SmallInteger, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("rows", BigInteger),
    Column("elapsed_ms", Integer, nullable=False),
    Column("areas", Text, nullable=False),
    Column("grade", Text, nullable=False),
    Column("personal", Text, nullable=False),
    *recorded_columns(),
    postgresql_partition_by="RANGE (at)",
)
"""One partition for each month (UTC), made by `make_access_partition` and dropped by `forget_accesses`, which no longer than the law allows may be asked to."""
Index("ix_accesses_at", accesses.c.at)
Index("ix_accesses_service", accesses.c.service, accesses.c.at)
Index("ix_accesses_subject", accesses.c.subject, accesses.c.at)
history_of(accesses)
