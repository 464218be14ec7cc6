"""What was known when: `known_at` in records and aggregates, by reading alone."""

from __future__ import annotations

from datetime import timedelta

from ops.conform.checks.aggregates import cells_of
from ops.conform.model import Check, must
from ops.conform.subject import Shared, Subject, moment
from shared.vocabulary import Text

LONG_AGO = "1990-01-01T00:00:00Z"
COUNT = {"n": {"fn": "count"}}


async def before(subject: Subject, shared: Shared) -> None:
    rows, _, _ = await subject.page(shared, {"known_at": LONG_AGO, "limit": 5})
    must(not rows, f"As of {LONG_AGO}, when nothing can have been recorded, {shared.id} has rows.")
    reply = await subject.asker.ask("POST", f"{shared.path}/aggregate", json={"measures": COUNT, "known_at": LONG_AGO})
    cells = cells_of(reply)
    must(not cells or cells[0]["n"] == 0, f"As of {LONG_AGO}, the aggregate of {shared.id} counts {cells[0]['n'] if cells else 0} rows.")


async def steady(subject: Subject, shared: Shared) -> None:
    """A moment that is past gives one answer, however often it is asked; rows and aggregate agree."""
    _, _, document = await subject.page(shared, {"limit": 1})
    at = (moment(document.get("timeStamp")) - timedelta(milliseconds=1)).isoformat()
    found = await subject.slice(shared)
    if shared.id in subject.pinned:
        at = subject.pinned[shared.id]
    first, more = await subject.walk(shared, {**found.records, "known_at": at})
    again, _ = await subject.walk(shared, {**found.records, "known_at": at})
    must([(row.id, row.values) for row in first] == [(row.id, row.values) for row in again], f"known_at={at} gives two answers.")
    question = {"measures": COUNT, **found.aggregate, "known_at": at}
    cells = cells_of(await subject.asker.ask("POST", f"{shared.path}/aggregate", json=question))
    must(
        more or shared.smallest_group or (cells[0]["n"] if cells else 0) == len(first),
        f"As of {at}, records give {len(first)} rows and the aggregate {cells[:1]}.",
    )


CHECKS = (
    Check(id="history.before", clause="Contract: known_at", title=Text("记录之前为空", "Nothing before it was recorded"), dataset=before),
    Check(id="history.steady", clause="Contract: known_at", title=Text("过去的答案不变", "The past answers the same again"), dataset=steady),
)
