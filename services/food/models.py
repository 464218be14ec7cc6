"""The food service's tables: premises and inspections; laboratories, samples and tests; lots and movements; notices and recalls."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Date, DateTime, Double, ForeignKey, Index, Integer, Table, Text, func, text

from shared.database import new_metadata
from shared.datasets.history import history_of, recorded_columns

metadata = new_metadata()
Moment = DateTime(timezone=True)
Key = Text(collation="C")
NOTICE_FACTS = ("kind", "grade", "status", "published_at", "title", "reason", "company", "products", "regions", "url")
"""What a document says, and its notice after it."""


def _numbered() -> tuple[Column[Any], ...]:
    return Column("id", Key, primary_key=True), Column("registry", Text, nullable=False), Column("number", Text, nullable=False)


def _placed() -> tuple[Any, ...]:
    place = Column("area", Key, nullable=False), Column("lon", Double), Column("lat", Double)
    return *place, CheckConstraint("(lon IS NULL) = (lat IS NULL)", name="point")


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

laboratories = Table(
    "laboratories",
    metadata,
    *_numbered(),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cma", Text),
    Column("cma_until", Date),
    Column("cnas", Text),
    Column("cnas_until", Date),
    *_placed(),
    *recorded_columns(),
    CheckConstraint("kind IN ('agency', 'university', 'enterprise', 'third_party')", name="kind"),
)
"""Who tests food, with the numbers and the last days of its accreditations (CMA: metrology law; CNAS: ISO/IEC 17025)."""

lots = Table(
    "lots",
    metadata,
    *_numbered(),
    Column("product", Key, nullable=False),
    Column("name", Text),
    Column("premises", Key, ForeignKey(premises.c.id), nullable=False),
    Column("made_on", Date),
    Column("expires_on", Date),
    Column("quantity", Double, nullable=False),
    Column("unit", Text, nullable=False),
    *recorded_columns(),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("unit IN ('kg', 'L', 'piece')", name="unit"),
)
"""What was made in one go at one place: the unit of tracing. `quantity` is what was made, in `unit`."""
Index("ix_lots_premises", lots.c.premises)

movements = Table(
    "movements",
    metadata,
    *_numbered(),
    Column("kind", Text, nullable=False),
    Column("event", Key, nullable=False),
    Column("at", Moment, nullable=False),
    Column("lot", Key, ForeignKey(lots.c.id), nullable=False),
    Column("premises", Key, ForeignKey(premises.c.id), nullable=False),
    Column("partner", Key, ForeignKey(premises.c.id)),
    Column("quantity", Double, nullable=False),
    *recorded_columns(),
    CheckConstraint("quantity > 0", name="quantity"),
    CheckConstraint("kind IN ('ship', 'receive', 'input', 'output', 'sell', 'dispose')", name="kind"),
    CheckConstraint("(partner IS NOT NULL) = (kind IN ('ship', 'receive'))", name="partner"),
)
"""What happened to a lot, as GS1 EPCIS 2.0 events say it; `quantity` in the lot's unit. Rows of one transformation share their `event`."""
Index("ix_movements_lot", movements.c.lot, movements.c.kind)
Index("ix_movements_event", movements.c.event, movements.c.kind)
Index("ix_movements_premises", movements.c.premises)
Index("ix_movements_at", movements.c["at"])

samples = Table(
    "samples",
    metadata,
    *_numbered(),
    Column("product", Key, nullable=False),
    Column("name", Text),
    Column("premises", Key, ForeignKey(premises.c.id)),
    Column("lot", Key, ForeignKey(lots.c.id)),
    Column("programme", Text),
    Column("taken_at", Moment, nullable=False),
    Column("made_on", Date),
    *_placed(),
    *recorded_columns(),
)
"""Food taken for testing. `product` is a category of `samples/tables.py`; the place is that of the premises where there are any."""
Index("ix_samples_taken_at", samples.c.taken_at)
Index("ix_samples_premises", samples.c.premises)
Index("ix_samples_lot", samples.c.lot)

tests = Table(
    "tests",
    metadata,
    *_numbered(),
    Column("sample", Key, ForeignKey(samples.c.id), nullable=False),
    Column("laboratory", Key, ForeignKey(laboratories.c.id), nullable=False),
    Column("analyte", Key, nullable=False),
    Column("method", Text),
    Column("result", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("detection_limit", Text),
    Column("uncertainty", Text),
    Column("tested_at", Moment, nullable=False),
    Column("retest_of", Key),
    Column("superseded", Boolean, nullable=False, server_default=text("false")),
    Column("verdict", Text, nullable=False, server_default=text("'not_assessed'")),
    Column("amount", Double),
    Column("limit_value", Double),
    Column("limit_unit", Text),
    Column("source", Text),
    Column("reason", Text),
    *recorded_columns(),
    CheckConstraint("verdict IN ('conforming', 'exceeds', 'not_assessed')", name="verdict"),
)
"""What a laboratory found, as it said it; `verdict` and what follows it come from `samples/tables.py`, `amount` and `limit_value` in `limit_unit`."""
Index("ix_tests_sample", tests.c["sample"])
Index("ix_tests_laboratory", tests.c.laboratory)
Index("ix_tests_analyte", tests.c.analyte, tests.c.tested_at)
Index("ix_tests_retest_of", tests.c.retest_of)

notices = Table(
    "notices",
    metadata,
    *_numbered(),
    Column("kind", Text, nullable=False),
    Column("grade", Text),
    Column("status", Text),
    Column("published_at", Moment, nullable=False),
    Column("title", Text, nullable=False),
    Column("reason", Text),
    Column("company", Text),
    Column("products", Text),
    Column("regions", Text),
    Column("url", Text),
    Column("documents", Integer, nullable=False),
    *recorded_columns(),
    CheckConstraint("grade IN ('I', 'II', 'III')", name="grade"),
)
"""Recalls and alerts that someone published, one row for each however many documents tell of it. They are public: no area."""
Index("ix_notices_published_at", notices.c.published_at)

notice_documents = Table(
    "notice_documents",
    metadata,
    *_numbered(),
    Column("notice", Key, nullable=False),
    Column("language", Text, nullable=False),
    *(Column(column.name, column.type, nullable=column.nullable) for column in notices.columns if column.name in NOTICE_FACTS),
    *recorded_columns(),
)
"""The documents: translations and updates of one notice."""
Index("ix_notice_documents_notice", notice_documents.c.notice)
Index("ix_notice_documents_url", notice_documents.c.url)

recalls = Table(
    "recalls",
    metadata,
    *_numbered(),
    Column("grade", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("notice", Key),
    Column("known_since", Moment, nullable=False),
    Column("start_by", Moment, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("truncated", Boolean, nullable=False),
    Column("area", Key, nullable=False),
    *recorded_columns(),
    CheckConstraint("grade IN ('I', 'II', 'III')", name="grade"),
)
"""Food that this city calls back. `start_by` follows from the grade; `truncated` says that the trace met its bound."""
Index("ix_recalls_opened_at", recalls.c.opened_at)
Index("ix_recalls_area", recalls.c.area)

recall_lots = Table(
    "recall_lots",
    metadata,
    Column("recall", Key, ForeignKey(recalls.c.id), primary_key=True),
    Column("lot", Key, ForeignKey(lots.c.id), primary_key=True),
    Column("asked", Boolean, nullable=False),
    Column("amount", Double),
    *recorded_columns(),
)
"""What is called back: the lots asked for, and those made from them, with the amount of the former in the latter."""
Index("ix_recall_lots_lot", recall_lots.c.lot)

recall_premises = Table(
    "recall_premises",
    metadata,
    Column("id", Key, primary_key=True),
    Column("recall", Key, ForeignKey(recalls.c.id), nullable=False),
    Column("premises", Key, ForeignKey(premises.c.id), nullable=False),
    Column("lots", Integer, nullable=False),
    Column("informed_at", Moment),
    Column("removed_at", Moment),
    Column("returned", Double),
    Column("unit", Text),
    Column("finished_at", Moment),
    *recorded_columns(),
    CheckConstraint("returned >= 0", name="returned"),
    CheckConstraint("(returned IS NULL) = (unit IS NULL)", name="unit"),
)
"""How far a recall has come at each of the premises that made, held or sold what is called back. `id` is `<recall>~<premises>`."""
Index("ix_recall_premises_recall", recall_premises.c.recall)
Index("ix_recall_premises_premises", recall_premises.c.premises)

SHARED = (
    premises,
    inspections,
    findings,
    laboratories,
    lots,
    movements,
    samples,
    tests,
    notices,
    notice_documents,
    recalls,
    recall_lots,
    recall_premises,
)
for table in SHARED:
    history_of(table)
