"""The bounds of a filter, whatever its form: size, nesting, operators, numbers and characters."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_BYTES = 8 * 1024
MOST_LEVELS = 32
MOST_OPERATORS = 200
MOST_INTEGER = 2**53
"""Beyond it a float no longer holds every integer."""


def read_json(source: str | Mapping[str, Any], *, pointer: str) -> Any:
    """CQL2 JSON (OGC 21-065r2) within the same bounds as text."""
    text = source if isinstance(source, str) else json.dumps(source)
    check_text(text, pointer=pointer)
    depth = deepest = 0
    for match in re.finditer(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', text):
        depth += (match[1] is not None) - (match[2] is not None)
        deepest = max(deepest, depth)
    if deepest > 4 * MOST_LEVELS:
        raise too_deep(pointer)
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The filter is not JSON.", pointer=pointer) from None
    check_tree(tree, pointer=pointer)
    return tree


def check_text(text: str, *, pointer: str) -> None:
    """At most 8 KiB of UTF-8 without NUL."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("The text holds half a character (a lone surrogate).", pointer=pointer) from None
    if size > MOST_BYTES:
        raise InvalidRequest(f"The text has {size} bytes; at most {MOST_BYTES} are read.", pointer=pointer)
    if "\x00" in text:
        raise InvalidRequest("The text holds a NUL character.", pointer=pointer)


def check_tree(tree: Any, *, pointer: str) -> None:
    """At most 32 levels and 200 operators, finite numbers, integers that a float can hold, clean strings."""
    operators = 0
    for node, depth in _walk(tree):
        if isinstance(node, dict) and "op" in node:
            operators += 1
            if depth > MOST_LEVELS:
                raise too_deep(pointer)
        elif isinstance(node, str):
            check_text(node, pointer=pointer)
        elif isinstance(node, int | float):
            check_number(node, pointer=pointer)
    if operators > MOST_OPERATORS:
        raise too_many(pointer)


def check_number(number: float, *, pointer: str) -> None:
    """Finite, and if it is an integer, one that a float can hold."""
    if abs(number) > MOST_INTEGER if isinstance(number, int) else not math.isfinite(number):
        raise InvalidRequest("The filter holds a number beyond 2⁵³, which cannot be compared exactly.", pointer=pointer)


def too_deep(pointer: str) -> InvalidRequest:
    return InvalidRequest(f"The filter is nested deeper than {MOST_LEVELS} levels.", pointer=pointer)


def too_many(pointer: str) -> InvalidRequest:
    return InvalidRequest(f"The filter has more than {MOST_OPERATORS} operators. For many values of one field write `field IN (…)`.", pointer=pointer)


def _walk(tree: Any) -> Iterator[tuple[Any, int]]:
    """Every value of a JSON tree with the number of operators around it, its own included."""
    queue = [(tree, 1)]
    while queue:
        node, depth = queue.pop()
        yield node, depth
        if isinstance(node, dict):
            queue += [(child, depth + ("op" in node)) for pair in node.items() for child in pair]
        elif isinstance(node, list):
            queue += [(child, depth) for child in node]
