"""CQL2 filters (OGC 21-065r2), text and JSON, compiled to SQLAlchemy over what the caller may see; every value is a bound parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, Float, and_, cast, false, func, not_, null, or_, true

from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_geometry import meets
from shared.datasets.filter_text import read_text
from shared.datasets.filter_time import compare_times
from shared.datasets.literals import NUMERIC, typed
from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.datasets.declaration import FieldType
    from shared.datasets.view import View

FilterLanguage = Literal["cql2-text", "cql2-json"]
COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
ARITHMETIC: dict[str, Callable[[Any, Any], ColumnElement[Any]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / func.nullif(b, 0.0, type_=Float),
}
CASE_FOLDING = "pg_unicode_fast"
SUPPORTED = (
    "and, or, not, =, <>, <, <=, >, >=, between, in, like, isNull, casei, +, -, *, /, s_intersects, s_within, s_disjoint, "
    "t_after, t_before, t_during, t_equals, t_intersects, t_disjoint."
)


def compile_filter(source: str | Mapping[str, Any], view: View, *, language: FilterLanguage = "cql2-text", pointer: str = "/filter") -> ColumnElement[bool]:
    """The condition that a filter states. `InvalidRequest` or `UnknownField`, at `pointer`, if it cannot be understood.

    A mapping is CQL2 JSON whatever the language. Texts are ordered by code point. A division by zero is null.
    """
    if isinstance(source, str) and language == "cql2-text":
        return _Compiler(view, pointer).condition(read_text(source, pointer=pointer))
    return _Compiler(view, pointer).condition(read_json(source, pointer=pointer))


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side of a comparison: an expression of a kind, or a literal whose kind the other side gives."""

    kind: FieldType | None
    value: Any

    def as_kind(self, kind: FieldType, pointer: str) -> ColumnElement[Any]:
        return typed(kind, self.value, pointer=pointer) if self.kind is None else self.value


@dataclass(frozen=True, slots=True)
class _Compiler:
    view: View
    pointer: str

    def condition(self, node: Any) -> ColumnElement[bool]:
        """A node that is true, false or unknown."""
        match node:
            case bool():
                return true() if node else false()
            case {"property": str(name)}:
                field, column = self.view.named(name, pointer=self.pointer)
                if field.type != "boolean":
                    raise self._wrong(f"{name!r} is of type {field.type}; alone it says nothing. Compare it with a value.")
                return column
            case {"op": str(op), "args": list(args)}:
                return self._operation(op.lower(), args)
        raise self._wrong("A filter is a condition, like `kind = 'x'`.")

    def _operation(self, op: str, args: list[Any]) -> ColumnElement[bool]:
        match op, args:
            case "and", [_, *_]:
                return and_(*map(self.condition, args))
            case "or", [_, *_]:
                return or_(*map(self.condition, args))
            case "not", [arg]:
                return not_(self.condition(arg))
            case (("s_intersects" | "s_within" | "s_disjoint"), [_, _]):
                return meets(self.view, op, args, pointer=self.pointer)
            case _, [_, _] if op.startswith("t_"):
                return compare_times(self.view, op, args, pointer=self.pointer)
        return self._predicate(op, args)

    def _predicate(self, op: str, args: list[Any]) -> ColumnElement[bool]:
        """Comparisons of values."""
        match op, args:
            case (("=" | "<>"), [left, right]):
                _, (a, b) = self._same(left, right)
                return COMPARISONS[op](a, b)
            case (("<" | "<=" | ">" | ">="), [left, right]):
                a, b = _ordered(*self._same(left, right))
                return COMPARISONS[op](a, b)
            case "between", [value, low, high]:
                a, b, c = _ordered(*self._same(value, low, high))
                return and_(a >= b, a <= c)
            case "in", [value, [_, *_] as choices]:
                _, (a, *rest) = self._same(value, *choices)
                return a.in_(rest)
            case "like", [value, pattern]:
                return self._like(value, pattern)
            case "isnull", [{"property": "geometry"}] if self.view.geometry is not None:
                return self.view.geometry[0].is_(null())
            case "isnull", [value]:
                return self._operand(value).as_kind("string", self.pointer).is_(null())
        raise self._wrong(f"The operator {op[:40]!r} is not supported with {len(args)} arguments. Supported: {SUPPORTED}")

    def _same(self, *nodes: Any) -> tuple[FieldType, list[ColumnElement[Any]]]:
        """Operands brought to one kind: that of the first that has one, of a literal if all are."""
        operands = [self._operand(node) for node in nodes]
        kind = next((operand.kind for operand in operands if operand.kind is not None), None) or _kind_of(operands[0].value)
        for operand in operands:
            if operand.kind not in (None, kind) and not (operand.kind in NUMERIC and kind in NUMERIC):
                raise self._wrong(f"A value of type {kind} cannot be compared with one of type {operand.kind}.")
        return kind, [operand.as_kind(kind, self.pointer) for operand in operands]

    def _operand(self, node: Any) -> _Operand:
        match node:
            case {"property": str(name)}:
                field, column = self.view.named(name, pointer=self.pointer)
                return _Operand(field.type, column)
            case {"op": str(op), "args": [left, right]} if op in ARITHMETIC:
                return _Operand("number", ARITHMETIC[op](*(cast(self._number(side), Float) for side in (left, right))))
            case {"op": str(op), "args": [value]} if op.lower() == "casei":
                return _Operand("string", func.casefold(self._operand(value).as_kind("string", self.pointer).collate(CASE_FOLDING)))
            case {"op": str(op)}:
                raise self._wrong(f"{op[:40]!r} gives no value that could be compared here. Supported: {SUPPORTED}")
        return _Operand(None, node)

    def _number(self, node: Any) -> ColumnElement[Any]:
        operand = self._operand(node)
        if operand.kind not in (None, *NUMERIC):
            raise self._wrong(f"Arithmetic takes numbers, not a value of type {operand.kind}.")
        return operand.as_kind("number", self.pointer)

    def _like(self, value: Any, pattern: Any) -> ColumnElement[bool]:
        text = pattern["args"][0] if isinstance(pattern, dict) and str(pattern.get("op")).lower() == "casei" and len(pattern.get("args", ())) == 1 else pattern
        if not isinstance(text, str) or (len(text) - len(text.rstrip("\\"))) % 2:
            raise self._wrong(r"LIKE takes a pattern in quotes, with % and _; a backslash escapes the character after it.")
        operand = self._operand(value)
        if operand.kind not in (None, "string"):
            raise self._wrong(f"LIKE compares texts, not a value of type {operand.kind}.")
        _, (a, b) = self._same(value, pattern)
        return a.like(b)

    def _wrong(self, detail: str) -> InvalidRequest:
        return InvalidRequest(detail, pointer=self.pointer)


def _ordered(kind: FieldType, expressions: list[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """Texts are ordered by code point, whatever the database's collation, so that all sources agree."""
    return [expression.collate("C") for expression in expressions] if kind == "string" else expressions


def _kind_of(raw: Any) -> FieldType:
    match raw:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case {"timestamp": _}:
            return "datetime"
        case {"date": _}:
            return "date"
    return "string"
