"""The columns of a dataset of which nobody answered, so that its place in an answer across datasets stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.hub.federation.ask import Target
from shared.datasets.aggregate.columns import Layout, Measure
from shared.datasets.aggregate.question import MeasureSpec, Question
from shared.datasets.aggregate.states import States
from shared.datasets.declaration import FieldType


def empty_states(aim: Target, question: Question, shared: Layout) -> States:
    """States without any group, with the dimensions of the other datasets."""
    schema = next((source.offers[aim.dataset].schema for source in aim.sources if aim.dataset in source.offers), {})
    properties = schema.get("properties", {})
    measures = tuple(_measure(name, spec, properties.get(spec.field, {})) for name, spec in question.measures.items())
    layout = Layout(shared.dimensions, measures, shared.tz)
    return States(layout, layout.schema().empty_table(), ())


def _measure(name: str, spec: MeasureSpec, described: Mapping[str, Any]) -> Measure:
    unit = None if spec.fn in ("count", "distinct") else described.get("x-ogc-unit")
    return Measure(name, spec.fn, spec.field, spec.q, _type(described), unit)


def _type(described: Mapping[str, Any]) -> FieldType:
    """The field's type by its JSON Schema, as far as it is known."""
    kinds = described.get("type", "number")
    kind = next((kind for kind in kinds if kind != "null"), "number") if isinstance(kinds, list) else kinds
    if kind == "string":
        formats: dict[str, FieldType] = {"date-time": "datetime", "date": "date"}
        return formats.get(str(described.get("format")), "string")
    known: dict[str, FieldType] = {"integer": "integer", "boolean": "boolean"}
    return known.get(kind, "number")
