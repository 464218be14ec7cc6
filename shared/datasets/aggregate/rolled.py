"""Aggregates from hourly roll-ups, wherever these give the same answer as the rows (docs/adr/0018).

Whole hours come from the roll-up; what it does not hold is read from the rows beside it: values that it leaves out, such as those
flagged bad, and the parts of hours at both ends of the asked time. Counts, least and greatest are the same to the last digit; sums,
means and deviations are added in another order, so they agree but for the rounding of doubles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, DateTime, Double, Select, and_, bindparam, case, cast, func, literal, literal_column, select, union_all
from sqlalchemy.dialects.postgresql import array

from shared.caller import Caller
from shared.datasets import extent
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.compile import Compiled, condition, key, sketches_of, source_of
from shared.datasets.aggregate.expressions import gathered, plain
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.aggregate.rolled_span import Asked, Span, asked_of
from shared.datasets.aggregate.zones import whole_hours
from shared.datasets.cql import compile_filter
from shared.datasets.declaration import Dataset, Point, RollUp
from shared.datasets.view import View, view

_INSTANT = DateTime(timezone=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Rolled:
    """A view of the roll-up beside the view of the rows, both cut to the same rights. One for all who have these."""

    rollup: RollUp
    rows: View
    hours: View
    shared: frozenset[str]
    """The fields that both have: what is joined to them."""


def compile_rolled(question: Question, layout: Layout, rows: View, caller: Caller, city_areas: Sequence[str]) -> Compiled | None:
    """Answer from the dataset's roll-up, or None if it has none that gives the same answer as the rows of the view."""
    rollup = rows.dataset.rollup
    if rollup is None or rows.known_at is not None or rows.time is None or not _zone_fits(layout):
        return None
    both = _beside(rollup, rows, caller, tuple(city_areas))
    if both is None:
        return None
    hours = both.hours
    if not all(_known(measure, both) for measure in layout.measures) or not all(_groups(dimension.of, both) for dimension in layout.dimensions):
        return None
    if question.bbox is not None and hours.geometry is None:
        return None
    places = {"geometry"} if hours.geometry is not None else set()
    asked = asked_of(question, rollup, rows.time.name, both.shared | places)
    whole = asked and asked.span.whole_hours()
    if not asked or not whole:
        return None
    if asked.span.edges(whole) or not asked.covered:
        return _compiled(question, layout, both, asked, whole)
    alone = _hours_alone(both, layout, json.dumps((asked.filter, question.bbox)), since=whole.since is not None, until=whole.until is not None)
    return replace(alone, values={name: end for name, end in (("since", whole.since), ("until", whole.until)) if end})


_KEPT = 256
_both: dict[tuple[Any, ...], _Rolled | None] = {}


def _beside(rollup: RollUp, rows: View, caller: Caller, city_areas: tuple[str, ...]) -> _Rolled | None:
    """The roll-up beside the rows, remembered for all whose rights follow from their token's areas, scopes and clearance; None if it does not fit."""
    dataset = rows.dataset
    rights = (dataset.id, dataset.table, caller.areas, caller.scopes, caller.clearance, caller.actor is None, city_areas)
    if dataset.rights is None and rights in _both:
        return _both[rights]
    declared = _of_hours(dataset, rollup)
    found = None
    if declared is not None and rows.time is not None:
        hours = view(declared, caller, city_areas=city_areas)
        found = _Rolled(rollup, rows, hours, frozenset(hours.fields) - {rows.time.name})
    if dataset.rights is None:
        if len(_both) >= _KEPT:
            _both.clear()
        _both[rights] = found
    return found


@lru_cache(maxsize=_KEPT)
def _hours_alone(both: _Rolled, layout: Layout, narrowed: str, *, since: bool, until: bool) -> Compiled:
    """The statement of a question about whole hours, whichever they are: making it takes as long as running it."""
    condition, bbox = json.loads(narrowed)
    ends = (bindparam(name, type_=_INSTANT) if given else None for name, given in (("since", since), ("until", until)))
    return _grouped(layout, both, [_hours(layout, both, condition, bbox, _between(both.hours, *ends))])


def _of_hours(dataset: Dataset, rollup: RollUp) -> Dataset | None:
    """The dataset as if its table were the roll-up: what is joined to its rows, and the hour in the place of the time.

    None if the area, by which rights go, is not among that.
    """
    time = dataset.field(dataset.time or "")
    joined = tuple(field for field in dataset.fields if "." in (field.column or ""))
    if dataset.area is not None and dataset.area not in {field.name for field in joined}:
        return None
    columns = {column for column in _geometry(dataset) if "." in column}
    fields = (*joined, *([replace(time, column=rollup.time)] if time else []))
    geometry = dataset.geometry if columns == set(_geometry(dataset)) else None
    keys = tuple(join.on[0] for join in dataset.joins)[:1]
    return replace(dataset, table=rollup.table, key=(*keys, rollup.time), fields=fields, geometry=geometry, rollup=None)


def _geometry(dataset: Dataset) -> tuple[str, ...]:
    match dataset.geometry:
        case Point(lon=lon, lat=lat):
            return (lon, lat)
    return ()


def _zone_fits(layout: Layout) -> bool:
    """Whether the asked times are made of whole UTC hours."""
    units = {dimension.of.partition(":")[2] for dimension in layout.dimensions if dimension.of.startswith("time:")}
    return not units or ("minute" not in units and whole_hours(layout.tz))


def _groups(of: str, both: _Rolled) -> bool:
    """Whether the roll-up can be grouped so: by area and time, and by fields that it has."""
    return of in both.shared or (":" in of and (not of.startswith("area:") or both.hours.area is not None))


def _known(measure: Measure, both: _Rolled) -> bool:
    """Whether the roll-up tells the measure."""
    match measure.fn:
        case "count":
            time = both.rows.time
            return measure.field in (None, both.rollup.value, time.name if time else None) or measure.field in both.shared
        case "sum" | "avg" | "stddev":
            return measure.field == both.rollup.value
        case "min" | "max":
            return measure.field == both.rollup.value or measure.field in both.shared
        case "distinct":
            return measure.field in both.shared
    return False


def _compiled(question: Question, layout: Layout, both: _Rolled, asked: Asked, whole: Span) -> Compiled:
    """One SELECT over the hours and what lies beside them."""
    lent = _lent(layout, both)
    parts = [_hours(layout, both, asked.filter, question.bbox, _within(both.hours, whole))]
    outside = [_within(both.rows, edge) for edge in asked.span.edges(whole)]
    if not asked.covered and both.rollup.covers:
        name, most = both.rollup.covers
        field = both.rows.dataset.field(name)
        column = both.rows.dataset.table.c[field.column or name if field else name]
        outside.append(and_(_within(both.rows, whole), column > literal_column(str(most))))
    return _grouped(layout, both, [*parts, *(_values(question, layout, both, where, lent) for where in outside)])


def _lent(layout: Layout, both: _Rolled) -> list[str]:
    """The measured fields that are joined to both."""
    return sorted({measure.field for measure in layout.measures if measure.field in both.shared})


def _grouped(layout: Layout, both: _Rolled, parts: Sequence[Select[Any]]) -> Compiled:
    found = union_all(*parts).subquery("parts") if len(parts) > 1 else parts[0].subquery("parts")
    keys = [found.c[f"k{place}"] for place in range(len(layout.dimensions))]
    needed = set(layout.computed_as().values())
    states = {name: state for measure in layout.measures for name, state in _states(measure, both, found.c).items() if name in needed}
    sketches = sketches_of(layout)
    rows = func.coalesce(func.sum(found.c.n), 0).label("rows")
    columns = [rows, *(state.label(f"s{place}") for place, state in enumerate(states.values()))]
    columns += [gathered(measure, found.c[f"f_{measure.field}"]).label(f"a{place}") for place, measure in enumerate(sketches)]
    grouped = select(*keys, *columns).group_by(*keys).limit(MAX_ROWS + 1)
    return Compiled(grouped, tuple(states), sketches, f"rollup:{both.rollup.name}")


def _hours(layout: Layout, both: _Rolled, condition: Any, bbox: Sequence[float] | None, within: ColumnElement[bool]) -> Select[Any]:
    """The hours that lie wholly within the asked time."""
    table, hours = both.rollup.table, both.hours
    where = [hours.rows, within]
    where += [compile_filter(condition, hours)] if condition is not None else []
    where += [extent.within_bbox(hours, extent.bbox_of(*_corners(bbox), pointer="/bbox"))] if bbox is not None else []
    measured = {"n": table.c["count"], "s": table.c["sum"], "m2": table.c.m2, "lo": table.c.min, "hi": table.c.max}
    return _part(layout, hours, measured, _lent(layout, both), hour=hours.columns[hours.time.name] if hours.time else None).where(*where)


def _values(question: Question, layout: Layout, both: _Rolled, where: ColumnElement[bool], lent: Sequence[str]) -> Select[Any]:
    """The values of rows that no roll-up holds, each as if it were an hour of its own."""
    value = both.rows.columns.get(both.rollup.value, literal_column("0.0::float8"))
    measured = {"n": literal_column("1"), "s": value, "m2": literal_column("0.0::float8"), "lo": value, "hi": value}
    return _part(layout, both.rows, measured, lent).where(condition(question, layout, both.rows), where)


def _part(layout: Layout, seen: View, measured: Mapping[str, Any], lent: Sequence[str], *, hour: ColumnElement[Any] | None = None) -> Select[Any]:
    """`hour`: a column that holds hours, which need not be cut to hours where zones are whole hours apart (`_zone_fits`)."""
    source, areas = source_of(layout, seen)

    def by(dimension: Dimension) -> ColumnElement[Any]:
        return hour if hour is not None and dimension.of == "time:hour" else key(dimension, layout.tz, seen, areas)

    keys = [by(dimension).label(f"k{place}") for place, dimension in enumerate(layout.dimensions)]
    fields = [plain(*seen.named(name)).label(f"f_{name}") for name in lent]
    return select(*keys, *(column.label(name) for name, column in measured.items()), *fields).select_from(source)


def _within(seen: View, span: Span) -> ColumnElement[bool]:
    return _between(seen, *(literal(end, _INSTANT) if end else None for end in (span.since, span.until)))


def _between(seen: View, since: ColumnElement[Any] | None, until: ColumnElement[Any] | None) -> ColumnElement[bool]:
    column = seen.columns[seen.time.name] if seen.time else literal_column("NULL")
    return and_(literal_column("true"), *([column >= since] if since is not None else []), *([column < until] if until is not None else []))


def _corners(given: Sequence[float]) -> tuple[float, float, float, float]:
    half = len(given) // 2
    return (given[0], given[1], given[half], given[half + 1])


def _states(measure: Measure, both: _Rolled, parts: Any) -> dict[str, ColumnElement[Any]]:
    """The states of a measure from those of the parts."""
    lent = parts[f"f_{measure.field}"] if measure.field in both.shared else None
    total = func.coalesce(func.sum(parts.n) if lent is None else func.sum(parts.n).filter(lent.is_not(None)), 0)
    states: dict[str, ColumnElement[Any]] = {}
    match measure.fn:
        case "count":
            states = {"count": total}
        case "sum" | "avg":
            states = {"count": total, "sum": func.sum(parts.s)}
        case "min":
            states = {"min": func.min(parts.lo if lent is None else _comparable(measure, lent))}
        case "max":
            states = {"max": func.max(parts.hi if lent is None else _comparable(measure, lent))}
        case "stddev":
            moments = func.merge_moments(array([cast(parts.n, Double), parts.s, parts.m2]), type_=ARRAY(Double))
            m2 = case((func.sum(parts.n) > literal_column("0"), moments[3]))
            states = {"count": total, "mean": func.sum(parts.s) / func.sum(parts.n), "m2": m2}
    return {f"{measure.name}.{kind}": state for kind, state in states.items()}


def _comparable(measure: Measure, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column.collate("C") if measure.source == "string" else column
