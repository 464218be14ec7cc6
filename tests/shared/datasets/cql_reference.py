"""What CQL2 means, said once more and slowly: random filters, their text, and their truth for a row in plain Python."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
NUMBERS = ("level", "height")
TEXTS = ("kind", "area")
WORDS = ("", "a", "A", "b%", "b_c", "水", "it's", "Z", "é", "flood", "43", "430302", "(", "AND")
TIMES = tuple(datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=6 * step) for step in range(8))
DAYS = tuple(date(2026, 11, 1) + timedelta(days=step) for step in range(4))


def _property(names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(names).map(lambda name: {"property": name})


def _op(op: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*args).map(lambda found: {"op": op, "args": list(found)})


number_literals = st.one_of(st.integers(-10, 10), st.floats(-10, 10, allow_nan=False).map(lambda value: round(value, 2)))
numbers = st.recursive(
    st.one_of(_property(NUMBERS), number_literals),
    lambda inner: st.one_of(*(_op(op, inner, inner) for op in "+-*/")),
    max_leaves=4,
)
words = st.sampled_from(WORDS)
texts = st.one_of(_property(TEXTS), words)
times = st.sampled_from(TIMES).map(lambda moment: {"timestamp": moment.isoformat().replace("+00:00", "Z")})
days = st.sampled_from(DAYS).map(lambda day: {"date": day.isoformat()})
comparisons = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
edges = st.one_of(times.map(lambda moment: moment["timestamp"]), st.just(".."))
intervals = st.tuples(edges, edges).filter(lambda ends: ends != ("..", "..")).map(lambda ends: {"interval": list(ends)})


def _compared(left: st.SearchStrategy[Any], right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(comparisons, left, right).map(lambda found: {"op": found[0], "args": list(found[1:])})


predicates = st.one_of(
    _compared(numbers, numbers),
    _compared(_property(TEXTS), texts),
    _compared(_property(("seen_at",)), times),
    _compared(_property(("day",)), days),
    _compared(_property(("urgent",)), st.booleans()).filter(lambda node: node["op"] in ("=", "<>")),
    _property(("urgent",)),
    _op("between", numbers, numbers, numbers),
    _op("between", _property(TEXTS), texts, texts),
    _op("in", _property(NUMBERS), st.lists(number_literals, min_size=1, max_size=4)),
    _op("in", _property(TEXTS), st.lists(words, min_size=1, max_size=4)),
    _op("like", _property(TEXTS), st.sampled_from(["%", "", "a%", "%3%", "b\\%", "b_c", "_", "%\\_%", "水%"])),
    _op("isNull", _property((*NUMBERS, *TEXTS, "urgent", "day"))),
    *(_op(op, _property(("seen_at",)), times) for op in ("t_after", "t_before", "t_equals", "t_intersects", "t_disjoint")),
    *(_op(op, _property(("seen_at",)), intervals) for op in ("t_during", "t_intersects", "t_disjoint")),
)
filters = st.recursive(
    st.one_of(predicates, st.booleans()),
    lambda inner: st.one_of(
        _op("not", inner),
        *(st.lists(inner, min_size=2, max_size=3).map(lambda args, op=op: {"op": op, "args": args}) for op in ("and", "or")),  # type: ignore[misc]
    ),
    max_leaves=6,
)


def as_text(node: Any) -> str:  # noqa: C901 - one case for each operator
    """CQL2 text with every pair of parentheses that could be needed."""
    match node:
        case bool():
            return str(node).upper()
        case int() | float():
            return repr(node) if node >= 0 else f"(-{-node!r})"
        case str():
            return "'" + node.replace("'", "''") + "'"
        case {"property": name}:
            return str(name)
        case {"timestamp": text}:
            return f"TIMESTAMP('{text}')"
        case {"date": text}:
            return f"DATE('{text}')"
        case {"interval": [start, end]}:
            return f"INTERVAL('{start}','{end}')"
        case {"op": "not", "args": [arg]}:
            return f"NOT ({as_text(arg)})"
        case {"op": "isNull", "args": [arg]}:
            return f"{as_text(arg)} IS NULL"
        case {"op": "between", "args": [value, low, high]}:
            return f"({as_text(value)}) BETWEEN ({as_text(low)}) AND ({as_text(high)})"
        case {"op": "in", "args": [value, choices]}:
            return f"{as_text(value)} IN ({', '.join(map(as_text, choices))})"
        case {"op": str(op), "args": [left, right]} if op.startswith("t_"):
            return f"{op.upper()}({as_text(left)}, {as_text(right)})"
        case {"op": str(op), "args": args}:
            return "(" + f" {op.upper()} ".join(map(as_text, args)) + ")"
    raise AssertionError(node)


def truth(node: Any, row: Row) -> bool | None:  # noqa: C901 - one case for each operator
    """True, false or unknown."""
    match node:
        case bool():
            return node
        case {"property": name}:
            return row[name]  # type: ignore[no-any-return]
        case {"op": "and", "args": args}:
            found = [truth(arg, row) for arg in args]
            return False if False in found else None if None in found else True
        case {"op": "or", "args": args}:
            found = [truth(arg, row) for arg in args]
            return True if True in found else None if None in found else False
        case {"op": "not", "args": [arg]}:
            inner = truth(arg, row)
            return None if inner is None else not inner
        case {"op": "isNull", "args": [arg]}:
            return value(arg, row) is None
        case {"op": "between", "args": [arg, low, high]}:
            return truth({"op": "and", "args": [{"op": ">=", "args": [arg, low]}, {"op": "<=", "args": [arg, high]}]}, row)
        case {"op": "in", "args": [arg, choices]}:
            return truth({"op": "or", "args": [{"op": "=", "args": [arg, choice]} for choice in choices]}, row)
        case {"op": str(op), "args": [left, {"interval": [start, end]}]}:
            return _in_interval(op, value(left, row), start, end)
        case {"op": str(op), "args": [left, right]}:
            a, b = value(left, row), value(right, row)
            return None if a is None or b is None else _compare(op, a, b)
    raise AssertionError(node)


def value(node: Any, row: Row) -> Any:
    match node:
        case {"property": name}:
            return row[name]
        case {"timestamp": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case {"op": op, "args": [left, right]}:
            a, b = value(left, row), value(right, row)
            if a is None or b is None or (op == "/" and b == 0):
                return None
            return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b}[op]()
    return float(node) if isinstance(node, int) and not isinstance(node, bool) else node


def _compare(op: str, a: Any, b: Any) -> bool:
    match op:
        case "=" | "t_equals" | "t_intersects":
            return bool(a == b)
        case "<>" | "t_disjoint":
            return bool(a != b)
        case "<" | "t_before":
            return bool(a < b)
        case "<=":
            return bool(a <= b)
        case ">" | "t_after":
            return bool(a > b)
        case ">=":
            return bool(a >= b)
        case "like":
            return re.fullmatch(_pattern(b), a, re.DOTALL) is not None
    raise AssertionError(op)


def _pattern(like: str) -> str:
    parts = re.findall(r"\\(.)|(%)|(_)|(.)", like, re.DOTALL)
    return "".join(re.escape(escaped or plain) if escaped or plain else ".*" if many else "." for escaped, many, _, plain in parts)


def _in_interval(op: str, moment: datetime | None, start: str, end: str) -> bool | None:
    if moment is None:
        return None
    low = datetime.min.replace(tzinfo=UTC) if start == ".." else datetime.fromisoformat(start)
    high = datetime.max.replace(tzinfo=UTC) if end == ".." else datetime.fromisoformat(end)
    match op:
        case "t_during":
            return low < moment < high
        case "t_intersects":
            return low <= moment <= high
    return not low <= moment <= high
