"""Whether a source's states describe its fields as its own schema does: the same types, the same units."""

from __future__ import annotations

from services.hub.federation.domain import SourceUnsound
from shared.datasets.aggregate.columns import Layout
from shared.datasets.declaration import Dataset, Field, FieldType

_KINDS: dict[str, FieldType] = {"area": "string", "time": "datetime"}
"""What areas of a level and times of a unit are in every answer."""


def check_described(source: str, layout: Layout, declared: Dataset) -> None:
    """Raise `SourceUnsound` where they differ: seconds merged as minutes would be a wrong number that nobody sees."""
    for measure in layout.measures:
        field = declared.field(measure.field) if measure.field else None
        if field is not None and (measure.source != field.type or (measure.fn not in ("count", "distinct") and measure.unit != field.unit)):
            raise _otherwise(source, field)
    for dimension in layout.dimensions:
        field = declared.field(dimension.of)
        if field is not None and (dimension.type, dimension.unit) != (field.type, field.unit):
            raise _otherwise(source, field)
        kind, separator, _ = dimension.of.partition(":")
        if separator and (dimension.type, dimension.unit) != (_KINDS.get(kind), None):
            raise SourceUnsound(f"{source} groups by {dimension.of} as {dimension.type}.")


def _otherwise(source: str, field: Field) -> SourceUnsound:
    return SourceUnsound(f"{source} describes {field.name} otherwise in its states than in its schema.")
