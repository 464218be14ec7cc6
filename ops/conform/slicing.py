"""Cuts a slice of a dataset that is small enough to be read whole."""

from __future__ import annotations

from collections import Counter

from ops.conform.model import Skipped
from ops.conform.subject import MOST, PAGE, Row, Shared, Slice, Subject


async def cut(subject: Subject, shared: Shared) -> Slice:
    """All rows, or the newest, or those with one code or area; `Skipped` if none of these is small enough."""
    rows, more = await subject.walk(shared, {})
    if not more:
        return Slice(rows)
    found = await _newest(subject, shared) or await _of_one_value(subject, shared, rows)
    if found is None:
        raise Skipped(f"the dataset has more than {MOST} rows and no time or code that narrows them")
    return found


async def _newest(subject: Subject, shared: Shared) -> Slice | None:
    if shared.time is None:
        return None
    rows, _, _ = await subject.page(shared, {"sortby": f"-{shared.time}", "limit": PAGE})
    times = [row.values.get(shared.time) for row in rows if row.values.get(shared.time) is not None]
    for place in (len(times) - 1, 20, 0):
        if 0 <= place < len(times):
            window = f"{times[place]}/{times[0]}"
            found, more = await subject.walk(shared, {"datetime": window})
            if not more and found:
                return Slice(found, {"datetime": window}, {"datetime": window})
    return None


async def _of_one_value(subject: Subject, shared: Shared, rows: list[Row]) -> Slice | None:
    """The rows with a rare value of a short text."""
    for name, field in shared.fields.items():
        counts = Counter(row.values.get(name) for row in rows)
        value, count = min(counts.items(), key=lambda pair: pair[1])
        if field.type == "string" and isinstance(value, str) and 0 < len(value) < 100 and "'" not in value and count < len(rows) // 3:
            condition = f"{name} = '{value}'"
            found, more = await subject.walk(shared, {"filter": condition})
            if not more and len(found) > 1:
                return Slice(found, {"filter": condition}, {"filter": condition})
    return None
