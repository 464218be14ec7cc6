"""The columns of a dataset of which nobody answered, so that its place in an answer across datasets stays."""

from __future__ import annotations

from services.hub.federation.ask import Target
from shared.datasets.aggregate.columns import Layout, Measure
from shared.datasets.aggregate.question import MeasureSpec, Question
from shared.datasets.aggregate.states import States
from shared.datasets.declaration import Dataset


def empty_states(aim: Target, question: Question, shared: Layout) -> States:
    """States without any group, with the dimensions of the other datasets."""
    measures = tuple(_measure(name, spec, aim.declared) for name, spec in question.measures.items())
    layout = Layout(shared.dimensions, measures, shared.tz)
    return States(layout, layout.schema().empty_table(), ())


def _measure(name: str, spec: MeasureSpec, declared: Dataset | None) -> Measure:
    field = declared.field(spec.field) if declared and spec.field else None
    unit = field.unit if field and spec.fn not in ("count", "distinct") else None
    return Measure(name, spec.fn, spec.field, spec.q, field.type if field else "number", unit)
