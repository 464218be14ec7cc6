"""From a question to the layout of its answer: which columns, of which type, checked against what the caller may see."""

from __future__ import annotations

from typing import get_args

from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.problems import InvalidDimension, InvalidMeasure
from shared.datasets.aggregate.question import MeasureSpec, Question
from shared.datasets.aggregate.zones import TimeUnit
from shared.datasets.view import View
from shared.vocabulary import AreaLevel

_NUMBERS = ("integer", "number")
_TAKES: dict[str, tuple[str, ...]] = {
    "sum": _NUMBERS,
    "avg": _NUMBERS,
    "stddev": _NUMBERS,
    "quantile": _NUMBERS,
    "min": ("integer", "number", "string", "datetime", "date"),
    "max": ("integer", "number", "string", "datetime", "date"),
}


def lay_out(question: Question, view: View, tz: str) -> Layout:
    """The columns of the answer. `tz` is the city's zone, for a question that names none.

    Raises `UnknownField`, `InvalidMeasure` or `InvalidDimension` with a pointer such as `/measures/p90/field`.
    """
    dimensions = tuple(_dimension(name, of, view) for name, of in question.by.items())
    measures = tuple(_measure(name, spec, view) for name, spec in question.measures.items())
    return Layout(dimensions, measures, question.tz or tz)


def _dimension(name: str, of: str, view: View) -> Dimension:
    pointer = f"/by/{name}"
    kind, separator, part = of.partition(":")
    if not separator:
        field, _ = view.named(of, pointer=pointer)
        return Dimension(name, of, field.type, field.unit)
    if kind == "area":
        return _area(name, of, part, view, pointer)
    if kind == "time":
        return _time(name, of, part, view, pointer)
    raise InvalidDimension(f"{of[:60]!r} begins with neither area: nor time:.", pointer=pointer)


def _area(name: str, of: str, level: str, view: View, pointer: str) -> Dimension:
    if level not in list(AreaLevel):
        raise InvalidDimension(f"There is no area level {level[:40]!r}; there are {', '.join(AreaLevel)}.", pointer=pointer)
    if view.area is None:
        raise InvalidDimension(f"{view.dataset.id} has no areas to group by.", pointer=pointer)
    return Dimension(name, of, "string")


def _time(name: str, of: str, unit: str, view: View, pointer: str) -> Dimension:
    units = get_args(TimeUnit)
    if unit not in units:
        raise InvalidDimension(f"There is no time unit {unit[:40]!r}; there are {', '.join(units)}.", pointer=pointer)
    if view.time is None:
        raise InvalidDimension(f"{view.dataset.id} has no time to group by.", pointer=pointer)
    if view.time.type == "date" and unit in ("minute", "hour"):
        raise InvalidDimension(f"The times of {view.dataset.id} are dates; ask for time:day or coarser.", pointer=pointer)
    return Dimension(name, of, "datetime")


def _measure(name: str, spec: MeasureSpec, view: View) -> Measure:
    pointer = f"/measures/{name}"
    if (spec.q is None) == (spec.fn == "quantile"):
        needs = "needs q, above 0 up to 1" if spec.fn == "quantile" else "takes no q"
        raise InvalidMeasure(f"{spec.fn} {needs}.", pointer=f"{pointer}/q")
    if spec.field is None:
        if spec.fn != "count":
            raise InvalidMeasure(f"{spec.fn} needs a field to measure.", pointer=f"{pointer}/field")
        return Measure(name, "count")
    field, _ = view.named(spec.field, pointer=f"{pointer}/field")
    takes = _TAKES.get(spec.fn)
    if takes and field.type not in takes:
        raise InvalidMeasure(f"{spec.fn} takes {' or '.join(takes)}; {field.name!r} is a {field.type}.", pointer=f"{pointer}/field")
    unit = None if spec.fn in ("count", "distinct") else field.unit
    return Measure(name, spec.fn, field.name, spec.q, field.type, unit)
