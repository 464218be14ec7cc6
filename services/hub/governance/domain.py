"""What of a question is kept: which fields it names, and its conditions without the values of personal fields.

Whoever forgets the quotes, or takes the wrong ones, has written a value where a name belongs. So a name is kept only if it is one that
the dataset declares, and an operator only if CQL2 knows it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shared.datasets.declaration import Dataset
from shared.datasets.labels import geometry_labels
from shared.vocabulary import Personal

REDACTED = "…"
CONNECTIVES = ("and", "or", "not")
OPERATORS = re.compile(
    r"and|or|not|=|<>|!=|[<>]=?|like|between|in|isnull|casei|accenti|[-+*/%^]|div"
    r"|s_(intersects|equals|disjoint|touches|within|overlaps|crosses|contains)|a_(containedby|contains|equals|overlaps)"
    r"|t_(after|before|contains|disjoint|during|equals|finishedby|finishes|intersects|meets|metby|overlappedby|overlaps|startedby|starts)",
    re.IGNORECASE,
)
"""What a condition may call its operators (OGC 21-065r2); another word there may be anything."""
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


def redacted(condition: Any, known: Collection[str], names: Collection[str]) -> Any:
    """A CQL2 JSON condition in which only comparisons of `known` fields keep their values, and only `names` are called by name."""
    match condition:
        case {"op": str(op), "args": list(args)} if op.lower() in CONNECTIVES:
            return {"op": op, "args": [redacted(arg, known, names) for arg in args]}
        case {"op": str(), "args": list()}:
            named = set(named_in(condition))
            return _plain(condition, names, values=bool(named) and named <= set(known))
        case {"property": str()} | bool():
            return _plain(condition, names, values=True)
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


def _plain(node: Any, names: Collection[str], *, values: bool) -> Any:
    """The parts of a condition that CQL2 knows, in the places where it knows them; values only if they may be kept."""
    match node:
        case {"property": str(name)}:
            return {"property": name if name in names else REDACTED}
        case {"op": str(op), "args": list(args)}:
            return {"op": op if OPERATORS.fullmatch(op) else REDACTED, "args": [_plain(arg, names, values=values) for arg in args]}
        case list() if values:
            return [_plain(part, names, values=True) for part in node]
        case list():
            return [REDACTED]
        case Mapping() if values and all(name in VALUES for name in node):
            return dict(node)
        case str() | int() | float() | None if values:
            return node
    return REDACTED


VALUES = frozenset({"timestamp", "date", "interval", "bbox", "type", "coordinates", "geometries"})
"""Members of the values that are written as objects: moments and geometries."""
