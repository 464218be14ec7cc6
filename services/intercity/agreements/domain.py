"""Rules of agreements: which is in force, and how a question is cut down to what is agreed, before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

MOST_YEARS = timedelta(days=3660)


def in_force(state: str, begins: datetime, ends: datetime, now: datetime) -> bool:
    """Whether both have signed, nobody has ended it, and it is its time."""
    return state == "in_force" and begins <= now < ends


def fields_named(tree: Any) -> set[str]:
    """Every field that a CQL2 filter names, wherever in it."""
    return {name for node in _nodes(tree) if isinstance(node, dict) for key, name in node.items() if key == "property" and isinstance(name, str)}


def _nodes(tree: Any) -> Iterator[Any]:
    queue = [tree]
    while queue:
        node = queue.pop()
        yield node
        if isinstance(node, dict):
            queue += node.values()
        elif isinstance(node, list):
            queue += node


def all_of(*conditions: Any) -> Any:
    """The CQL2 condition that all of these hold, leaving out None; None if none is left."""
    given = [condition for condition in conditions if condition is not None]
    return {"op": "and", "args": given} if len(given) > 1 else given[0] if given else None


def suppress(counts: Sequence[int], smallest: int) -> list[bool]:
    """Which groups are too small to be told. The next smallest go with them until two are hidden, and together are no small group:
    from a total, what is hidden could be had as one."""
    hidden = [count < smallest for count in counts]
    told = sorted((count, place) for place, count in enumerate(counts) if not hidden[place])
    for _, place in told if any(hidden) else ():
        if sum(hidden) > 1 and sum(count for count, small in zip(counts, hidden, strict=True) if small) >= smallest:
            break
        hidden[place] = True
    return hidden
