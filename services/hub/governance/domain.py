"""What of a question is kept: which fields it names, and its conditions without the values of personal fields."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shared.datasets.declaration import Dataset
from shared.datasets.labels import geometry_labels
from shared.vocabulary import Personal

REDACTED = "…"
CONNECTIVES = ("and", "or", "not")
LONGEST_ASKED = 8_000
"""Characters of a kept question; a longer one is cut to what was asked of which fields."""


def open_fields(declared: Dataset | None) -> frozenset[str]:
    """The fields whose values may stand in a record: those that say nothing of a person. Of an unknown dataset none."""
    if declared is None:
        return frozenset()
    known = {field.name for field in declared.fields if declared.personal_of(field) is Personal.NONE}
    known |= {"geometry"} if geometry_labels(declared).personal is Personal.NONE else set()
    keys = [field for field in declared.fields if (field.column or field.name) in declared.keys]
    plain = all(field.name in known for field in keys) and declared.personal is Personal.NONE
    return frozenset(known | {"id"} if plain else known - {"id"})


def redacted(condition: Any, known: Collection[str]) -> Any:
    """A CQL2 JSON condition in which only comparisons of `known` fields keep their values."""
    match condition:
        case {"op": str(op), "args": list(args)} if op.lower() in CONNECTIVES:
            return {"op": op, "args": [redacted(arg, known) for arg in args]}
        case {"op": _, "args": _}:
            named = set(named_in(condition))
            return condition if named and named <= set(known) else _without_values(condition)
        case {"property": str()} | bool():
            return condition
    return REDACTED


def named_in(node: Any) -> Iterable[str]:
    """The fields that a condition names, as often as it does."""
    match node:
        case {"property": str(name)}:
            yield name
        case Mapping():
            for part in node.values():
                yield from named_in(part)
        case list() | tuple():
            for part in node:
                yield from named_in(part)


def _without_values(node: Any) -> Any:
    match node:
        case {"property": str()}:
            return node
        case {"op": str(op), "args": list(args)}:
            return {"op": op, "args": [_without_values(arg) for arg in args]}
        case list():
            return [REDACTED]
    return REDACTED
