"""Parameters of a statement, and the present moment, as literals of its tree: never as pasted text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlglot import exp

from services.hub.sql.allowed import LONGEST_TEXT
from services.hub.sql.problems import SqlParameter
from services.hub.sql.statement import Statement

_NOW = frozenset({"now", "get_current_timestamp", "transaction_timestamp"})
Value = str | int | float | bool | None


def bind(statement: Statement, params: Sequence[Value] | Mapping[str, Value]) -> exp.Expr:
    """The tree with every parameter as the literal of its value. `SqlParameter` if they do not fit."""
    tree = statement.tree
    found = [node for node in tree.walk() if isinstance(node, exp.Placeholder)]
    values = dict(params) if isinstance(params, Mapping) else {str(place): value for place, value in enumerate(params, 1)}
    used: set[str] = set()
    for node in found:
        name = str(node.this)
        if name not in values:
            given = f"params gives {', '.join(list(values)[:20])}" if values else "params gives none"
            raise SqlParameter(f"There is no parameter {name[:60]!r}; {given}.", **statement.place(node) or statement.place(node.parent))
        used.add(name)
        literal = _literal(name, values[name])
        tree = literal if node is tree else tree
        node.replace(literal)
    if unused := values.keys() - used:
        raise SqlParameter(f"The statement does not use the parameter {min(unused)[:60]!r}.")
    return tree


def _literal(name: str, value: Value) -> exp.Expr:
    match value:
        case None:
            return exp.null()
        case bool():
            return exp.true() if value else exp.false()
        case int() if abs(value) < 2**63:
            return _signed(exp.Literal(this=str(abs(value)), is_string=False), value)
        case float() if math.isfinite(value):
            return _signed(exp.cast(exp.Literal(this=repr(abs(value)), is_string=False), "DOUBLE"), value)
        case str() if len(value) <= LONGEST_TEXT and "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value):
            return exp.Literal.string(value)
    raise SqlParameter(f"The parameter {name[:60]!r} is no text, 64-bit integer, finite number, true, false or null.")


def _signed(size: exp.Expr, value: float) -> exp.Expr:
    return exp.Paren(this=exp.Neg(this=size)) if value < 0 else size


def fix_now(tree: exp.Expr, now: datetime) -> exp.Expr:
    """The tree with the present moment as a literal, the same for every source. `now` is in the city's zone."""

    def fixed(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.CurrentTimestamp) or (isinstance(node, exp.Anonymous) and str(node.this).lower() in _NOW and not node.expressions):
            return moment(now)
        if isinstance(node, exp.CurrentDate) or (isinstance(node, exp.Anonymous) and str(node.this).lower() == "today" and not node.expressions):
            return exp.cast(exp.Literal.string(now.date().isoformat()), "DATE")
        return node

    return tree.transform(fixed, copy=False)


def moment(when: datetime) -> exp.Expr:
    return exp.cast(exp.Literal.string(when.isoformat()), "TIMESTAMPTZ")
