"""Conditions of SQL as CQL2 JSON, where both mean exactly the same; whatever might differ stays with DuckDB."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlglot import exp

from services.hub.sql.constants import instant
from services.hub.sql.domain import Kind, Table

Condition = dict[str, Any]
MOST_BYTES, MOST_OPERATORS, MOST_LEVELS = 6 * 1024, 150, 24
"""What a filter may have, with room for what the hub adds; the contract takes 8 KiB, 200 and 32."""
_COMPARISONS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("<>", "<>"),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
}
_EXACT_DIGITS = 15
_LARGEST = 2**53
NUMBERS = ("integer", "number")


class Untranslatable(Exception):
    """Not to be said in CQL2, or not certainly with the same meaning."""


class Translator:
    """Translates conditions on one table. `kind_of` tells the kind of a column of that table by name, None for any other expression."""

    def __init__(self, table: Table, zone: ZoneInfo, is_own: Callable[[exp.Column], bool]) -> None:
        self.table, self.zone, self.is_own = table, zone, is_own

    def translate(self, node: exp.Expr) -> Condition | None:
        """The condition, or None if it must stay with DuckDB."""
        try:
            found = self._condition(node)
        except (Untranslatable, RecursionError):
            return None
        return found if fits(found) else None

    def _condition(self, node: exp.Expr) -> Condition:
        match node:
            case exp.Paren():
                return self._condition(node.this)
            case exp.And() | exp.Or():
                return {"op": "and" if isinstance(node, exp.And) else "or", "args": [self._condition(node.this), self._condition(node.expression)]}
            case exp.Not():
                return {"op": "not", "args": [self._condition(node.this)]}
            case exp.Is() if isinstance(node.expression, exp.Null):
                return {"op": "isNull", "args": [self._property(node.this)[0]]}
        return self._predicate(node)

    def _predicate(self, node: exp.Expr) -> Condition:
        """Comparisons of values."""
        match node:
            case exp.Between():
                kind, value = self._named(node.this)
                return {"op": "between", "args": [value, self._literal(kind, node.args["low"]), self._literal(kind, node.args["high"])]}
            case exp.In() if not node.args.get("query") and node.expressions:
                kind, value = self._named(node.this)
                return {"op": "in", "args": [value, [self._literal(kind, choice) for choice in node.expressions]]}
            case exp.Like() if isinstance(node.expression, exp.Literal) and node.expression.is_string:
                return self._like(node.this, node.expression.this.replace("\\", "\\\\"))
            case exp.StartsWith() if isinstance(node.expression, exp.Literal) and node.expression.is_string:
                return self._like(node.this, f"{escaped(node.expression.this)}%")
            case exp.Column() if self._named(node)[0] == "boolean":
                return {"op": "=", "args": [self._named(node)[1], True]}
        if type(node) in _COMPARISONS:
            return self._comparison(node, *_COMPARISONS[type(node)])
        raise Untranslatable

    def _comparison(self, node: exp.Expr, op: str, mirrored: str) -> Condition:
        left, right = _plain(node.this), _plain(node.args["expression"])
        if not isinstance(left, exp.Column | exp.Left) or (isinstance(right, exp.Column) and not isinstance(left, exp.Column)):
            left, right, op = right, left, mirrored
        if isinstance(left, exp.Left):
            return self._beginning(left, right, op)
        kind, value = self._named(left)
        if isinstance(right, exp.Column):
            other, second = self._named(right)
            if other != kind:
                raise Untranslatable
            return {"op": op, "args": [value, second]}
        return {"op": op, "args": [value, self._literal(kind, right)]}

    def _beginning(self, left: exp.Left, right: exp.Expr, op: str) -> Condition:
        """`left(area, 4) = '4303'`, if the text has that length."""
        length, text = left.expression, right
        if op != "=" or not isinstance(length, exp.Literal) or not length.is_int or not isinstance(text, exp.Literal) or not text.is_string:
            raise Untranslatable
        if int(length.this) != len(text.this) or not text.this:
            raise Untranslatable
        return self._like(left.this, f"{escaped(text.this)}%")

    def _like(self, value: exp.Expr, pattern: str) -> Condition:
        kind, named = self._named(value)
        if kind != "string":
            raise Untranslatable
        return {"op": "like", "args": [named, pattern]}

    def _named(self, node: exp.Expr) -> tuple[Kind, Condition]:
        condition, kind = self._property(node)
        return kind, condition

    def _property(self, node: exp.Expr) -> tuple[Condition, Kind]:
        node = _plain(node)
        if not isinstance(node, exp.Column) or not self.is_own(node):
            raise Untranslatable
        column = self.table.columns.get(node.name.lower())
        if column is None or column.derived:
            raise Untranslatable
        return {"property": column.name}, column.kind

    def _literal(self, kind: Kind, node: exp.Expr) -> Any:
        node = _plain(node)
        match kind:
            case "string" if isinstance(node, exp.Literal) and node.is_string:
                return node.this
            case "integer" | "number":
                return self._number(node)
            case "boolean" if isinstance(node, exp.Boolean):
                return bool(node.this)
            case "datetime":
                moment = instant(node, self.zone)
                if isinstance(moment, datetime):
                    return {"timestamp": moment.astimezone(UTC).isoformat().replace("+00:00", "Z")}
            case "date":
                day = instant(node, self.zone, plain_dates=True)
                if type(day) is date:
                    return {"date": day.isoformat()}
        raise Untranslatable

    def _number(self, node: exp.Expr) -> int | float:
        sign = 1
        while isinstance(node, exp.Neg | exp.Paren):
            sign, node = (-sign if isinstance(node, exp.Neg) else sign), node.this
        if isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.DOUBLE and isinstance(node.this, exp.Literal) and not node.this.is_string:
            return sign * float(node.this.this)
        if not isinstance(node, exp.Literal) or node.is_string:
            raise Untranslatable
        if node.this.isdecimal() and int(node.this) < _LARGEST:
            return sign * int(node.this)
        if len(node.this.partition("e")[0].partition("E")[0].replace(".", "")) > _EXACT_DIGITS:
            raise Untranslatable
        value = sign * float(node.this)
        if abs(value) >= _LARGEST:
            raise Untranslatable
        return value


def _plain(node: Any) -> Any:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def conjuncts_of(node: exp.Expr) -> list[exp.Expr]:
    """The conditions that must all hold."""
    if isinstance(node, exp.Paren):
        return conjuncts_of(node.this)
    return [*conjuncts_of(node.this), *conjuncts_of(node.expression)] if isinstance(node, exp.And) else [node]


def escaped(text: str) -> str:
    """A text as the part of a LIKE pattern that means itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def fits(condition: Mapping[str, Any] | None) -> bool:
    """Whether a filter keeps to the contract's bounds."""
    text = json.dumps(condition)
    return len(text) <= MOST_BYTES and text.count('"op"') <= MOST_OPERATORS and _depth(condition) <= MOST_LEVELS


def _depth(node: Any) -> int:
    if isinstance(node, Mapping):
        return ("op" in node) + max((_depth(value) for value in node.values()), default=0)
    return max((_depth(value) for value in node), default=0) if isinstance(node, list) else 0


def all_of(conditions: list[Condition]) -> Condition | None:
    """Several conditions as one, as many as fit; each must be one that DuckDB checks again."""
    kept: list[Condition] = []
    for condition in conditions:
        if fits({"op": "and", "args": [*kept, condition]}):
            kept.append(condition)
    return None if not kept else kept[0] if len(kept) == 1 else {"op": "and", "args": kept}
