"""The `having` of an aggregate: CQL2 over the columns of the answer, evaluated on Arrow with SQL's three-valued logic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from shared.datasets.aggregate.problems import UnknownColumn
from shared.datasets.extent import parse_date, parse_moment
from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_text import read_text
from shared.errors import InvalidRequest

POINTER = "/having"
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": pc.equal,
    "<>": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}
_LOGIC: dict[str, Callable[[Any, Any], Any]] = {"and": pc.and_kleene, "or": pc.or_kleene}


@dataclass(frozen=True, slots=True)
class _Value:
    """A column or a constant: `kind` is number, string, boolean, datetime, date or null."""

    kind: str
    data: Any


def holds(having: str | Mapping[str, Any], columns: Sequence[Mapping[str, Any]], table: pa.Table, tz: str) -> Any:
    """For each row whether the expression holds: true, false or null. Raises `InvalidRequest` or `UnknownColumn` at `/having`."""
    tree = read_text(having, pointer=POINTER) if isinstance(having, str) else read_json(having, pointer=POINTER)
    found = _Expression(columns, table, ZoneInfo(tz)).boolean(tree)
    return found if isinstance(found, pa.ChunkedArray | pa.Array) else pa.array([found.as_py()] * table.num_rows, pa.bool_())


class _Expression:
    def __init__(self, columns: Sequence[Mapping[str, Any]], table: pa.Table, zone: ZoneInfo) -> None:
        self.kinds = {column["name"]: "number" if column["type"] == "integer" else column["type"] for column in columns}
        self.table, self.zone = table, zone

    def boolean(self, node: Any) -> Any:
        value = self.value(node)
        if value.kind not in ("boolean", "null"):
            raise InvalidRequest(f"having must be a condition such as calls >= 5; here is a {value.kind}.", pointer=POINTER)
        return pa.scalar(None, pa.bool_()) if value.kind == "null" else value.data

    def value(self, node: Any) -> _Value:
        if isinstance(node, Mapping):
            return self._operation(node) if "op" in node else self._leaf(node)
        if node is None:
            return _Value("null", pa.scalar(None))
        for kind, types in (("boolean", bool), ("number", int | float), ("string", str)):
            if isinstance(node, types):
                return _Value(kind, pa.scalar(float(node)) if kind == "number" else pa.scalar(node))
        raise InvalidRequest("having takes columns, numbers, texts, times and lists of them after IN.", pointer=POINTER)

    def _leaf(self, node: Mapping[str, Any]) -> _Value:
        match node:
            case {"property": str(name)}:
                return self._column(name)
            case {"timestamp": str(text)}:
                return _Value("datetime", _instant(parse_moment(text, pointer=POINTER)))
            case {"date": str(text)}:
                return _Value("date", pa.scalar(parse_date(text, pointer=POINTER)))
        raise InvalidRequest("having takes columns, numbers, texts and times; nothing spatial and no intervals.", pointer=POINTER)

    def _column(self, name: str) -> _Value:
        if name not in self.kinds:
            close = get_close_matches(name, self.kinds, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(self.kinds)}."
            raise UnknownColumn(f"The answer has no column {name[:60]!r}. {hint}", pointer=POINTER)
        return _Value(self.kinds[name], self.table[name])

    def _operation(self, node: Mapping[str, Any]) -> _Value:
        op = node["op"] if isinstance(node["op"], str) else ""
        args = node["args"] if isinstance(node.get("args"), list) else []
        if op in _LOGIC and len(args) >= 2:
            found = self.boolean(args[0])
            for arg in args[1:]:
                found = _LOGIC[op](found, self.boolean(arg))
            return _Value("boolean", found)
        match op, args:
            case "not", [arg]:
                return _Value("boolean", pc.invert(self.boolean(arg)))
            case "isNull", [arg]:
                return _Value("boolean", pc.is_null(self.value(arg).data))
            case (("=" | "<>" | "<" | "<=" | ">" | ">="), [left, right]):
                return _Value("boolean", self._compare(op, left, right))
            case "between", [value, low, high]:
                return _Value("boolean", pc.and_kleene(self._compare(">=", value, low), self._compare("<=", value, high)))
            case "in", [value, [first, *rest]]:
                found = self._compare("=", value, first)
                for item in rest:
                    found = pc.or_kleene(found, self._compare("=", value, item))
                return _Value("boolean", found)
            case (("+" | "-" | "*" | "/"), [left, right]):
                return _Value("number", _ARITHMETIC[op](self._number(left), self._number(right)))
        raise InvalidRequest(f"having does not know {op[:30]!r} in this form.", pointer=POINTER)

    def _number(self, node: Any) -> Any:
        value = self.value(node)
        if value.kind not in ("number", "null"):
            raise InvalidRequest(f"Only numbers can be reckoned with; here is a {value.kind}.", pointer=POINTER)
        return value.data.cast(pa.float64())

    def _compare(self, op: str, left: Any, right: Any) -> Any:
        one, other = self.value(left), self.value(right)
        one, other = self._like(one, other), self._like(other, one)
        if "null" in (one.kind, other.kind):
            return pa.scalar(None, pa.bool_())
        if one.kind != other.kind:
            raise InvalidRequest(f"A {one.kind} cannot be compared with a {other.kind}.", pointer=POINTER)
        return _COMPARISONS[op](one.data, other.data)

    def _like(self, constant: _Value, other: _Value) -> _Value:
        """A constant in the type of what it is compared with: a text as a time, a date as its midnight in the answer's zone."""
        if isinstance(constant.data, pa.ChunkedArray):
            return constant
        if constant.kind == "string" and other.kind == "datetime":
            return _Value("datetime", _instant(parse_moment(constant.data.as_py(), pointer=POINTER)))
        if constant.kind == "string" and other.kind == "date":
            return _Value("date", pa.scalar(parse_date(constant.data.as_py(), pointer=POINTER)))
        if constant.kind == "date" and other.kind == "datetime":
            return _Value("datetime", _instant(datetime.combine(constant.data.as_py(), time(), self.zone)))
        return constant


def _instant(moment: datetime) -> Any:
    return pa.scalar(moment, pa.timestamp("us", "UTC"))
