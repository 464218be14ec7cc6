"""From a layout and a view to SQL that computes the states inside PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, and_, cast, func, literal_column, select

from shared.areas import areas, rolled_up
from shared.datasets import extent
from shared.datasets.aggregate.columns import Dimension, Layout, Measure
from shared.datasets.aggregate.expressions import bucket, cut, plain, rank, register, scalar_states
from shared.datasets.aggregate.question import MAX_ROWS, Question
from shared.datasets.cql import compile_filter
from shared.datasets.history import as_known
from shared.datasets.view import View
from shared.errors import InvalidRequest
from shared.vocabulary import AreaLevel

MAX_CELLS = 2_000_000
"""Most cells (buckets, registers) of one sketch, over all groups."""
SKETCHES = ("quantile", "distinct")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT: the dimensions, the number of rows, then `states`, or for a sketch the number of its cells, these and the rows in each."""

    select: Select[Any]
    states: tuple[str, ...] = ()
    sketch: Measure | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """How a question is answered: the results of the statements, side by side, are its states. They must run in one snapshot."""

    statements: tuple[Statement, ...]
    served_from: str = "rows"
    """What the statements read: the dataset's rows, or a roll-up that gives the same answer (`rollup:hourly`)."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows in question and the expressions by which they are grouped."""

    source: FromClause
    condition: ColumnElement[bool]
    keys: tuple[ColumnElement[Any], ...]

    def grouped(self, *columns: ColumnElement[Any], cell: tuple[ColumnElement[Any], ...] = ()) -> Select[Any]:
        """The columns per group, or per group and cell."""
        by = [*(key.label(f"k{position}") for position, key in enumerate(self.keys)), *cell]
        return _grouped_by_position(select(*by, *columns).select_from(self.source).where(self.condition), len(by))


def _grouped_by_position(statement: Select[Any], count: int) -> Select[Any]:
    """GROUP BY 1, 2, …: an expression with bound parameters would not be recognised when repeated."""
    return statement.group_by(*(literal_column(str(position + 1)) for position in range(count))) if count else statement


def compile_rows(question: Question, layout: Layout, view: View) -> Compiled:
    """Answer from the rows of the view.

    Scalar states share one statement. Each sketched field has its own, which first counts the rows of each cell: measured on
    a million rows, a second scan costs less than carrying sums through the finer groups.
    """
    source, rolled = _source(layout, view)
    rows = _Rows(source, _condition(question, layout, view), tuple(_key(dimension, layout.tz, view, rolled) for dimension in layout.dimensions))
    sketched = {(measure.fn, measure.field): measure for measure in reversed(layout.measures) if measure.fn in SKETCHES}
    statements = [_sketch(rows, measure, view) for measure in sketched.values()]
    scalar = [measure for measure in layout.measures if measure.fn not in SKETCHES]
    if not statements or any(measure.field for measure in scalar):
        statements.insert(0, _scalars(rows, scalar, view))
    return Compiled(tuple(statements))


def _scalars(rows: _Rows, measures: list[Measure], view: View) -> Statement:
    states = {name: state for measure in measures for name, state in scalar_states(measure, view).items()}
    return Statement(rows.grouped(func.count(), *states.values()).limit(MAX_ROWS + 1), tuple(states))


def _sketch(rows: _Rows, measure: Measure, view: View) -> Statement:
    """Rows counted per group and cell, then gathered per group into one array of cells and one of counts."""
    value = plain(*view.named(measure.field or ""))
    count = func.count().label("n")
    if measure.fn == "quantile":
        cells = rows.grouped(count, cell=(bucket(value).label("cell"),))
        cell: ColumnElement[Any] = literal_column("cell")
    else:
        cells = rows.grouped(count, func.max(rank(value)).label("rank"), cell=(register(value).label("cell"),))
        cell = literal_column("cell * 64 + rank")
    counted = cells.limit(MAX_CELLS + 1).subquery("cells")
    keys = [counted.c[f"k{position}"] for position in range(len(rows.keys))]
    filled: ColumnElement[Any] = literal_column("cell IS NOT NULL")
    total = func.coalesce(cast(func.sum(counted.c.n), BigInteger), 0)
    # the cells are counted with that of the nulls, so that none goes unnoticed beyond the bound
    arrays = (func.count(), func.array_agg(cell).filter(filled), func.array_agg(counted.c.n).filter(filled))
    return Statement(_grouped_by_position(select(*keys, total, *arrays), len(keys)).limit(MAX_ROWS + 1), sketch=measure)


def _source(layout: Layout, view: View) -> tuple[FromClause, FromClause]:
    """The view's rows, beside the area table if areas are rolled up; that table as it was known then, if the view is of the past."""
    rolled = (areas if view.known_at is None else as_known(areas, view.known_at)).alias("rolled")
    if view.area is None or not any(dimension.of.startswith("area:") for dimension in layout.dimensions):
        return view.source, rolled
    return view.source.outerjoin(rolled, rolled.c.code == view.columns[view.area.name]), rolled


def _key(dimension: Dimension, tz: str, view: View, rolled: FromClause) -> ColumnElement[Any]:
    """The expression whose values are the dimension's. `lay_out` has seen to it that the view has areas and times if they are asked."""
    kind, separator, part = dimension.of.partition(":")
    if kind == "area" and separator and view.area:
        code: ColumnElement[Any] = view.columns[view.area.name]
        return rolled_up(AreaLevel(part), code, rolled)
    if kind == "time" and separator and view.time:
        return cut(view.columns[view.time.name], view.time, part, tz)
    return plain(*view.named(dimension.of))


def _condition(question: Question, layout: Layout, view: View) -> ColumnElement[bool]:
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
