"""From a layout and a view to SQL that computes the states inside PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, literal_column, select

from shared.areas import areas, rolled_up
from shared.datasets import extent
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.expressions import cut, gathered, plain, scalar_states
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.cql import compile_filter
from shared.datasets.history import as_known
from shared.datasets.view import View
from shared.errors import InvalidRequest
from shared.vocabulary import AreaLevel


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a question is answered: one SELECT.

    It yields the dimensions, the number of rows and `states`; then for each of `sketches` the bytes of what it is made of (`gathered`).
    """

    select: Select[Any]
    states: tuple[str, ...]
    sketches: tuple[Measure, ...] = ()
    served_from: str = "rows"
    """What it reads: the dataset's rows, or a roll-up that gives the same answer (`rollup:hourly`)."""
    values: Mapping[str, Any] | None = None
    """Of the statement's named parameters, if it is kept and run again with others."""


def compile_rows(question: Question, layout: Layout, view: View) -> Compiled:
    """Answer from the rows of the view: a single pass groups them, whatever the number of measures and sketches."""
    source, rolled = source_of(layout, view)
    keys = [key(dimension, layout.tz, view, rolled, question.from_).label(f"k{place}") for place, dimension in enumerate(layout.dimensions)]
    needed = set(layout.computed_as().values())
    states = {name: state for measure in layout.measures for name, state in scalar_states(measure, view).items() if name in needed}
    sketches = sketches_of(layout)
    columns = [func.count().label("rows"), *(state.label(f"s{place}") for place, state in enumerate(states.values()))]
    columns += [gathered(measure, plain(*view.named(measure.field or ""))).label(f"a{place}") for place, measure in enumerate(sketches)]
    grouped = select(*keys, *columns).select_from(source).where(condition(question, layout, view)).limit(MAX_ROWS + 1)
    # by position: an expression with bound parameters would not be recognised when repeated
    grouped = grouped.group_by(*(literal_column(str(place + 1)) for place in range(len(keys)))) if keys else grouped
    return Compiled(grouped, tuple(states), sketches)


def sketches_of(layout: Layout) -> tuple[Measure, ...]:
    """One measure for each sketch that is needed: two quantiles of one field share theirs."""
    return tuple({(measure.fn, measure.field): measure for measure in reversed(layout.measures) if measure.fn in ("quantile", "distinct")}.values())


def source_of(layout: Layout, view: View) -> tuple[FromClause, FromClause]:
    """The view's rows, beside the area table if areas are rolled up; that table as it was known then, if the view is of the past."""
    rolled = (areas if view.known_at is None else as_known(areas, view.known_at)).alias("rolled")
    if view.area is None or not any(dimension.of.startswith("area:") for dimension in layout.dimensions):
        return view.source, rolled
    return view.source.outerjoin(rolled, rolled.c.code == view.columns[view.area.name]), rolled


def key(dimension: Dimension, tz: str, view: View, rolled: FromClause, since: datetime | None = None) -> ColumnElement[Any]:
    """The expression whose values are the dimension's. `lay_out` has seen to it that the view has areas and times if they are asked."""
    kind, separator, part = dimension.of.partition(":")
    if kind == "area" and separator and view.area:
        code: ColumnElement[Any] = view.columns[view.area.name]
        return rolled_up(AreaLevel(part), code, rolled)
    if kind == "time" and separator and view.time:
        return cut(view.columns[view.time.name], view.time, part, tz, since)
    return plain(*view.named(dimension.of))


def condition(question: Question, layout: Layout, view: View) -> ColumnElement[bool]:
    """Which rows are meant: those that exist for the caller, within filter, box and times."""
    conditions = [view.rows]
    if question.filter is not None:
        conditions.append(compile_filter(question.filter, view))
    if question.bbox is not None:
        half = len(question.bbox) // 2
        corners = (*question.bbox[:2], *question.bbox[half : half + 2])
        conditions.append(extent.within_bbox(view, extent.bbox_of(*corners, pointer="/bbox")))
    zone = ZoneInfo(layout.tz)
    if question.datetime is not None:
        asked = extent.parse_datetime(question.datetime)
        local = extent.Interval(*(end.astimezone(zone) if end else None for end in (asked.start, asked.end)))
        conditions.append(extent.within_datetime(view, local))
    conditions += _half_open(view, question.from_, question.until, zone)
    return and_(*conditions)


def _half_open(view: View, start: datetime | None, end: datetime | None, zone: ZoneInfo) -> list[ColumnElement[bool]]:
    """From `start`, included, to `end`, not included. A date is the midnight with which it begins in the zone."""
    if start is None and end is None:
        return []
    if view.time is None:
        raise InvalidRequest(f"{view.dataset.id} has no time to compare with.", pointer="/from" if start else "/until")
    column: ColumnElement[Any] = view.columns[view.time.name]
    first, last = (_first_day(end, zone) if end and view.time.type == "date" else end for end in (start, end))
    return [*([column >= first] if first else []), *([column < last] if last else [])]


def _first_day(moment: datetime, zone: ZoneInfo) -> date:
    """The first day that begins at or after a moment."""
    local = moment.astimezone(zone)
    return local.date() if local.time() == time() else local.date() + timedelta(days=1)
