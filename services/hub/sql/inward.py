"""Conditions of an outer SELECT repeated inside the inner one whose rows they select, so that they reach the sources.

They stay outside as well, so that only rows are left out early that would be left out later. sqlglot's own
`pushdown_predicates` simplifies on the way, and reckoned `DATE '2026-11-02' + INTERVAL 5 HOUR` to be a date (30.30).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

MOST_REPEATED = 3000
"""Most parts that are repeated: conditions of many levels would else pile up in the innermost."""
_CHANGING = ("group", "having", "distinct", "qualify", "limit", "offset", "windows")
"""Parts of a SELECT that make its rows depend on each other."""


def bring_inward(tree: exp.Expr, conjuncts: Callable[[Scope, str], Iterable[exp.Expr]]) -> None:
    """Repeat what it can. `conjuncts` are the conditions under which alone rows of a source of a scope can matter."""
    room = MOST_REPEATED
    for scope in reversed(list(traverse_scope(tree))):
        for alias, (node, source) in scope.selected_sources.items():
            if isinstance(source, Scope) and isinstance(source.expression, exp.Select) and _once(tree, node, source):
                for conjunct in list(conjuncts(scope, alias)):
                    room -= sum(1 for _ in conjunct.walk())
                    if room < 0:
                        return
                    _repeat(conjunct, alias, source.expression)


def _once(tree: exp.Expr, node: exp.Expr, source: Scope) -> bool:
    """Whether nobody else reads the inner SELECT."""
    inner = source.expression
    if any(inner.args.get(part) for part in _CHANGING) or inner.find(exp.Window, exp.AggFunc):
        return False
    return not isinstance(node, exp.Table) or sum(1 for table in tree.find_all(exp.Table) if table.name == node.name and not table.db) == 1


def _repeat(conjunct: exp.Expr, alias: str, inner: exp.Select) -> None:
    columns = list(conjunct.find_all(exp.Column))
    meanings = {part.alias_or_name: part.unalias() for part in inner.expressions}
    if not columns or conjunct.find(exp.Query) or any(column.table != alias for column in columns):
        return
    if not all(isinstance(meanings.get(column.name), exp.Column) for column in columns):
        return

    def inside(node: exp.Expr) -> exp.Expr:
        return meanings[node.name].copy() if isinstance(node, exp.Column) else node

    inner.where(conjunct.copy().transform(inside), copy=False)
