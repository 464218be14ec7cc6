"""From what was noted of a question to the rows of the access record: worked out after the answer has left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ulid import ULID

from services.hub.governance.asked import asked_of
from services.hub.governance.domain import LONGEST_ASKED
from services.hub.governance.noting import Asking
from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer

COLUMNS = (
    "id", "at", "request", "subject", "actor", "purpose", "kind", "dataset", "service", "fields", "asked",
    "answered", "missing", "status", "complete", "rows", "elapsed_ms", "areas", "grade", "personal", "recorded_by",
)  # fmt: skip
MOST_FIELDS = 500
MOST_COUNTED = 2**63 - 1


def entries(asking: Asking, recorded_by: str) -> list[tuple[Any, ...]]:
    """One row for each dataset that the request named, in the order of `COLUMNS`."""
    if asking.caller is None:
        return []
    answers = _answers(asking)
    number = ULID()
    made = []
    for place, (dataset, part) in enumerate(sorted(asking.parts.items())):
        asked, fields = asked_of(asking, part)
        of = [answer for answer in answers if answer.dataset == dataset]
        row = _about(asking, asking.caller, dataset, of)
        text = json.dumps(asked, ensure_ascii=False, default=str)
        row |= {
            "id": str(number) if place == 0 else f"{number}-{place}",
            "fields": ",".join(sorted(fields)[:MOST_FIELDS]),
            "asked": text if len(text) <= LONGEST_ASKED else json.dumps({"cut": len(text)}),
            "recorded_by": recorded_by,
        }
        if not of and row["complete"] and row["service"] == recorded_by.rpartition("/")[2]:
            row["answered"] = recorded_by  # the hub's own data come without coverage
        made.append(tuple(_clean(row[name]) for name in COLUMNS))
    return made


def lost_entry(lost: int, since: datetime, recorded_by: str) -> tuple[Any, ...]:
    """The row that says how many could not be recorded: more was asked than the record could take."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {
        "id": str(ULID()),
        "at": since,
        "kind": "lost",
        "dataset": "hub.accesses",
        "service": "hub",
        "actor": None,
    }
    row |= {"asked": "{}", "status": 0, "complete": False, "rows": lost, "elapsed_ms": 0, "subject": recorded_by, "recorded_by": recorded_by}
    return tuple(row[name] for name in COLUMNS)


def _about(asking: Asking, caller: Caller, dataset: str, answers: Sequence[SourceAnswer]) -> dict[str, Any]:
    good = [answer for answer in answers if answer.status in ("ok", "stale")]
    counted = [answer.rows for answer in good if answer.rows is not None]
    return {
        "at": asking.at,
        "request": asking.request_id,
        "subject": caller.subject,
        "actor": caller.actor,
        "purpose": caller.purpose,
        "kind": asking.kind,
        "dataset": dataset,
        "service": dataset.partition(".")[0],
        "answered": ",".join(sorted({answer.source for answer in good})),
        "missing": ",".join(sorted({answer.source for answer in answers} - {answer.source for answer in good})),
        "status": asking.status,
        "complete": asking.whole and 200 <= asking.status < 400 and all(answer.status == "ok" for answer in answers),
        "rows": max(0, min(sum(counted), MOST_COUNTED)) if counted else asking.returned,  # sources say what they like
        "elapsed_ms": asking.elapsed_ms,
        "areas": ",".join(caller.areas),
        "grade": caller.clearance.grade.value,
        "personal": caller.clearance.personal.value,
    }


def _answers(asking: Asking) -> list[SourceAnswer]:
    """The last word on each source; what a stream ended with counts more than what it began with."""
    known = dict(asking.answers)
    for growing in asking.growing:
        known |= {(answer.dataset, answer.source): answer for answer in growing}
    return list(known.values())


def _clean(value: Any) -> Any:
    """What PostgreSQL takes: no half characters, no NUL."""
    return value.encode("utf-8", "replace").decode().replace("\x00", "�") if isinstance(value, str) else value


def kinds_of(route: str, params: Iterable[tuple[str, str]]) -> str:
    """What kind of question a route answers."""
    if route.endswith("/items"):
        return "stream" if ("stream", "true") in params else "records"
    return next((kind for ending, kind in KINDS if route.endswith(ending)), "other")


KINDS = (
    ("{feature_id:path}", "item"),
    ("{feature_id}", "item"),
    ("/aggregate", "aggregate"),
    ("/sql", "sql"),
    ("/lookups/{lookup}", "lookup"),
    ("/overview", "overview"),
    ("/quality", "quality"),
)
