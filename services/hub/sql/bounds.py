"""Joins: the keys of a scan that is expected to be small bound the scan that is joined to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from services.hub.sql.domain import Bound, Catalogue, Groups, Rows
from services.hub.sql.filters import Condition, conjuncts_of, fits

MOST_KEYS = 400
"""More different keys do not fit a filter."""
_KINDS = ("string", "integer")
_NARROW = frozenset({"=", "in", "like"})


def bounded(scopes: Sequence[Scope], scans: Sequence[Rows | Groups], catalogue: Catalogue) -> list[Rows | Groups]:
    """The scans, those without a narrow condition bound by one with such a condition, or by groups, where an inner join makes that sound.

    Rows of the bound scan whose key the other does not have can be in no row of the answer. So the other must stand in the tree once, as
    must the bound one, and neither on a side that an outer join fills with nulls.
    """
    found = {scan.name: scan for scan in scans}
    uses: dict[str, int] = {}
    for scope in scopes:
        for source in scope.sources.values():
            if isinstance(source, exp.Table):
                uses[source.name] = uses.get(source.name, 0) + 1
    for scope in scopes:
        for left, right in _equal_columns(scope):
            _bind(scope, left, right, found, uses, catalogue)
            _bind(scope, right, left, found, uses, catalogue)
    return list(found.values())


def _equal_columns(scope: Scope) -> list[tuple[exp.Column, exp.Column]]:
    """Columns of two tables that every row of the SELECT has equal; none if there is any outer join."""
    select = scope.expression
    if not isinstance(select, exp.Select):
        return []
    joins = select.args.get("joins") or []
    if any(join.side or join.kind.upper() not in ("", "INNER", "CROSS") for join in joins):
        return []
    conditions = [join.args["on"] for join in joins if join.args.get("on")]
    conditions += [select.args["where"].this] if select.args.get("where") else []
    parts = [part for condition in conditions for part in conjuncts_of(condition)]
    return [(p.this, p.expression) for p in parts if isinstance(p, exp.EQ) and isinstance(p.this, exp.Column) and isinstance(p.expression, exp.Column)]


def _bind(scope: Scope, small: exp.Column, large: exp.Column, found: dict[str, Rows | Groups], uses: Mapping[str, int], catalogue: Catalogue) -> None:
    one, other = (scope.sources.get(column.table) for column in (small, large))
    if not isinstance(one, exp.Table) or not isinstance(other, exp.Table) or one is other or uses[one.name] > 1 or uses[other.name] > 1:
        return
    giving, taking = found[one.name], found[other.name]
    if not isinstance(giving, Rows) or not isinstance(taking, Rows) or not _narrow(giving) or _narrow(taking) or taking.bound or giving.bound:
        return
    by, column = (catalogue[scan.dataset].columns.get(named.name.lower()) for scan, named in ((giving, small), (taking, large)))
    if by is None or column is None or column.derived or by.kind != column.kind or column.kind not in _KINDS:
        return
    found[taking.name] = replace(taking, bound=Bound(column.name, giving.name, by.name))


def _narrow(scan: Rows) -> bool:
    """Whether a condition promises that there are few rows."""
    return scan.filter is not None and not _NARROW.isdisjoint(_operators(scan.filter))


def _operators(node: Any) -> set[str]:
    """The operators of conditions that must all hold."""
    if node.get("op") == "and":
        return {op for part in node["args"] for op in _operators(part)}
    return {str(node.get("op"))}


def with_keys(scan: Rows, keys: Sequence[str | int] | None) -> Mapping[str, Any] | None:
    """The scan's filter with the keys that were found; without them if they are unknown or do not fit."""
    if keys is None or scan.bound is None:
        return scan.filter
    column: Condition = {"property": scan.bound.column}
    none: Condition = {"op": "and", "args": [{"op": "isNull", "args": [column]}, {"op": "not", "args": [{"op": "isNull", "args": [column]}]}]}
    one_of: Condition = {"op": "in", "args": [column, list(keys)]} if keys else none
    together: Condition = {"op": "and", "args": [dict(scan.filter), one_of]} if scan.filter is not None else one_of
    return together if fits(together) else scan.filter
