"""Groups that the sources make: one SELECT over one dataset becomes an aggregate question, and DuckDB finishes what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from services.hub.sql.domain import Column, Groups, Table
from services.hub.sql.filters import NUMBERS, Condition, Translator, conjuncts_of, fits

MOST_DIMENSIONS, MOST_MEASURES = 8, 32
_UNITS = ("MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR")
_DIMENSIONS = ("string", "integer", "boolean", "date")
_ORDERED = ("integer", "number", "string", "datetime", "date")
_ONCE = (exp.ApproxQuantile, exp.ApproxDistinct, exp.Stddev, exp.StddevSamp)
_AGGREGATES = (exp.AggFunc, exp.Grouping, exp.GroupConcat)


class _Not(Exception):
    """The sources cannot make these groups, or not with exactly the same meaning."""


@dataclass
class _Asked:
    """An aggregate question while it is put together."""

    alias: str
    table: Table
    by: dict[str, str] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def dimension(self, of: str) -> exp.Column:
        name = next((known for known, other in self.by.items() if other == of), f"_d{len(self.by)}")
        self.by[name] = of
        if len(self.by) > MOST_DIMENSIONS:
            raise _Not
        return exp.column(name, table=self.alias, quoted=True)

    def measure(self, **spec: Any) -> exp.Column:
        name = next((known for known, other in self.measures.items() if other == spec), f"_m{len(self.measures)}")
        self.measures[name] = spec
        if len(self.measures) > MOST_MEASURES:
            raise _Not
        return exp.column(name, table=self.alias, quoted=True)


def grouped(scope: Scope, alias: str, table: Table, translator: Translator, name: str) -> Groups | None:
    """The groups that the SELECT of a scope can be computed from; the SELECT is rewritten to do so. None, and nothing changed, if it cannot be.

    Measures are merged again by DuckDB (counts are added, minima compared), so the SELECT may group by whatever it likes of the
    dimensions, by `left(area, 6)` as by `area`. Where a measure cannot be merged again, its groups must be the dimensions themselves.
    """
    select = scope.expression
    try:
        if not isinstance(select, exp.Select) or not _plain(scope, select, table):
            return None
        draft = select.copy()
        asked = _Asked(alias, table)
        condition = _pushed(draft, translator)
        _rewrite(draft, asked)
    except _Not:
        return None
    if not asked.measures:
        asked.measures["_m0"] = {"fn": "count"}
    for part in {*select.args, *draft.args} - {"from_"}:  # the table itself stays the node that the scope knows
        select.set(part, draft.args.get(part))
    return Groups(name, table.dataset, asked.by, asked.measures, condition)


def _plain(scope: Scope, select: exp.Select, table: Table) -> bool:
    """Whether the SELECT groups the rows of this one table, and does nothing else with them."""
    if not table.groups or len(scope.sources) != 1 or scope.subquery_scopes or scope.external_columns:
        return False
    if any(select.args.get(part) for part in ("joins", "qualify", "with_", "windows", "laterals")):
        return False
    used = (table.columns.get(column.name.lower()) for column in scope.columns)
    if any(column is not None and column.personal for column in used):
        return False
    if any(node is not select for node in select.find_all(exp.Window, exp.Query)):
        return False
    return bool(select.args.get("group") or select.args.get("distinct") or select.find(*_AGGREGATES))


def _pushed(draft: exp.Select, translator: Translator) -> Condition | None:
    """The conditions that the sources test, taken out of the draft; those of dimensions alone stay."""
    where = draft.args.get("where")
    if where is None:
        return None
    found = [(part, translator.translate(part)) for part in conjuncts_of(where.this)]
    conditions = [condition for _, condition in found if condition is not None]
    together = None if not conditions else conditions[0] if len(conditions) == 1 else {"op": "and", "args": conditions}
    if together is not None and not fits(together):
        raise _Not
    rest = [part for part, condition in found if condition is None]
    draft.set("where", exp.Where(this=exp.and_(*rest, copy=True)) if rest else None)
    return together


def _rewrite(draft: exp.Select, asked: _Asked) -> None:
    aggregates = [node for part, values in draft.args.items() if part != "from_" for node in _found(values, _AGGREGATES)]
    inside = {id(column) for node in aggregates for column in node.find_all(exp.Column)}
    keys = [
        node for part, values in draft.args.items() if part != "from_" for node in _found(values, (exp.Column, exp.TimestampTrunc)) if id(node) not in inside
    ]
    truncated = {id(node.this) for node in keys if isinstance(node, exp.TimestampTrunc)}
    for key in keys:
        if id(key) in truncated or (isinstance(key, exp.Column) and not key.table):
            continue  # an alias, as ORDER BY may name one
        _replace(key, _dimension(key, asked))
    direct, dimensions = _direct(draft, asked), len(asked.by)
    for node in aggregates:
        _replace(node, _merged(node, asked, direct))
    if len(asked.by) > dimensions and any(isinstance(node, _ONCE) for node in aggregates):
        raise _Not  # what count(DISTINCT …) added splits the groups that another measure needs whole


def _found(values: Any, kinds: tuple[type[exp.Expr], ...]) -> list[exp.Expr]:
    parts = values if isinstance(values, list) else [values]
    return [node for part in parts if isinstance(part, exp.Expr) for node in part.find_all(*kinds)]


def _replace(node: exp.Expr, by: exp.Expr) -> None:
    node.replace(by)


def _dimension(key: exp.Expr, asked: _Asked) -> exp.Column:
    if isinstance(key, exp.TimestampTrunc):
        column, unit = key.this, str(key.unit).upper()
        about = asked.table.columns.get(column.name.lower()) if isinstance(column, exp.Column) else None
        if about is None or about.name != asked.table.time or about.kind != "datetime" or unit not in _UNITS or key.args.get("zone"):
            raise _Not
        return asked.dimension(f"time:{unit.lower()}")
    about = asked.table.columns.get(key.name.lower())
    if about is None or about.derived or about.kind not in _DIMENSIONS or about.name in asked.table.keys:
        raise _Not
    return asked.dimension(about.name)


def _direct(draft: exp.Select, asked: _Asked) -> bool:
    """Whether every group of the draft is exactly one group of the sources."""
    group = draft.args.get("group")
    if group is None:
        return not asked.by
    if any(value for part, value in group.args.items() if part != "expressions"):
        return False
    named = {key.name for key in group.expressions if isinstance(key, exp.Column)}
    return len(group.expressions) == len(named) and named == set(asked.by)


def _merged(node: exp.Expr, asked: _Asked, direct: bool) -> exp.Expr:
    """An aggregate over rows as one over the sources' groups."""
    if isinstance(node.parent, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls) or node.find(exp.Order):
        raise _Not
    if isinstance(node, exp.Count):
        return _count(node, asked)
    if not isinstance(node.this, exp.Column):
        raise _Not
    about = asked.table.columns.get(node.this.name.lower())
    if about is None or about.derived:
        raise _Not
    return _again(node, about, asked) if not isinstance(node, _ONCE) else _as_it_is(node, about, asked, direct)


def _again(node: exp.Expr, about: Column, asked: _Asked) -> exp.Expr:
    """Measures that can be merged once more."""
    match node:
        case exp.Sum() if about.kind in NUMBERS:
            return exp.Sum(this=asked.measure(fn="sum", field=about.name))
        case exp.Avg() if about.kind in NUMBERS:
            total, count = (exp.Sum(this=asked.measure(fn=fn, field=about.name)) for fn in ("sum", "count"))
            return exp.Div(this=exp.cast(total, "DOUBLE"), expression=exp.Nullif(this=count, expression=exp.Literal.number(0)))
        case exp.Min() | exp.Max() if about.kind in _ORDERED and not node.expressions and not node.args.get("count"):
            return type(node)(this=asked.measure(fn="min" if isinstance(node, exp.Min) else "max", field=about.name))
    raise _Not


def _as_it_is(node: exp.Expr, about: Column, asked: _Asked, direct: bool) -> exp.Expr:
    """Measures that are finished by the sources."""
    if not direct or (about.kind not in NUMBERS and not isinstance(node, exp.ApproxDistinct)):
        raise _Not
    match node:
        case exp.ApproxQuantile():
            return exp.Max(this=asked.measure(fn="quantile", field=about.name, q=_share(node.args.get("quantile"))))
        case exp.ApproxDistinct() if not node.args.get("accuracy"):
            return exp.func("coalesce", exp.Max(this=asked.measure(fn="distinct", field=about.name)), exp.Literal.number(0))
        case exp.Stddev() | exp.StddevSamp():
            return exp.Max(this=asked.measure(fn="stddev", field=about.name))
    raise _Not


def _count(node: exp.Count, asked: _Asked) -> exp.Expr:
    """COUNT(*), COUNT(x), COUNT(DISTINCT x): for the last, x is one more dimension."""
    what = node.this
    if isinstance(what, exp.Distinct):
        if len(what.expressions) != 1 or not isinstance(what.expressions[0], exp.Column):
            raise _Not
        return exp.Count(this=exp.Distinct(expressions=[_dimension(what.expressions[0], asked)]), big_int=True)
    if node.expressions or not (what is None or isinstance(what, exp.Star | exp.Column)):
        raise _Not
    if isinstance(what, exp.Column):
        about = asked.table.columns.get(what.name.lower())
        if about is None or about.derived:
            raise _Not
        counted = asked.measure(fn="count", field=about.name)
    else:
        counted = asked.measure(fn="count")
    return exp.cast(exp.func("coalesce", exp.Sum(this=counted), exp.Literal.number(0)), "BIGINT")


def _share(q: Any) -> float:
    if not isinstance(q, exp.Literal) or q.is_string or not 0 < float(q.this) <= 1:
        raise _Not
    return float(q.this)
