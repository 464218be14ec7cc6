"""From what was noted of a question to the rows of the access record: worked out after the answer has left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from ulid import ULID

from services.hub.governance.domain import LONGEST_ASKED, REDACTED, named_in, open_fields, redacted
from services.hub.governance.noting import Asking, Part
from shared.caller import Caller
from shared.datasets.coverage import SourceAnswer
from shared.datasets.declaration import Dataset
from shared.datasets.filter_bounds import read_json
from shared.datasets.filter_text import read_text
from shared.datasets.labels import visible_fields
from shared.datasets.record_query import PARAMETERS
from shared.errors import Problem

COLUMNS = (
    "id", "at", "request", "subject", "actor", "purpose", "kind", "dataset", "service", "fields", "asked",
    "answered", "missing", "status", "complete", "rows", "elapsed_ms", "areas", "grade", "personal", "recorded_by",
)  # fmt: skip
KEPT_PARAMETERS = (
    "bbox",
    "datetime",
    "from",
    "known_at",
    "limit",
    "max_age",
    "properties",
    "resultType",
    "sortby",
    "sources",
    "stream",
    "strict",
    "until",
    "tz",
)
"""Parameters that choose no person."""
MOST_FIELDS = 500
LONGEST_STATEMENT = 4_000
MOST_COUNTED = 2**63 - 1
WITHOUT_PARAMETERS = ("aggregate", "overview", "quality", "sql")


def entries(asking: Asking, recorded_by: str) -> list[tuple[Any, ...]]:
    """One row for each dataset that the request named, in the order of `COLUMNS`."""
    if asking.caller is None:
        return []
    answers = _answers(asking)
    number = ULID()
    made = []
    for place, (dataset, part) in enumerate(sorted(asking.parts.items())):
        asked, fields = _asked(asking, part)
        of = [answer for answer in answers if answer.dataset == dataset]
        row = _about(asking, asking.caller, dataset, of)
        text = json.dumps(asked, ensure_ascii=False, default=str)
        row |= {
            "id": str(number) if place == 0 else f"{number}-{place}",
            "fields": ",".join(sorted(fields)[:MOST_FIELDS]),
            "asked": text if len(text) <= LONGEST_ASKED else json.dumps({"cut": len(text)}),
            "recorded_by": recorded_by,
        }
        row |= {} if of or asking.status >= 400 or asking.kind == "lookup" else {"answered": recorded_by}  # the hub's own data come without coverage
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
        "complete": asking.status < 400 and all(answer.status == "ok" for answer in answers),
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


def _asked(asking: Asking, part: Part) -> tuple[dict[str, Any], set[str]]:
    """What was asked of one dataset, and the fields it touched."""
    known = open_fields(part.declared)
    if asking.kind == "lookup":
        return {"parameters": sorted({name for name, _ in asking.params})}, set()
    if part.questions or asking.kind in WITHOUT_PARAMETERS:
        asked = [_question(question, part.declared, known) for question in part.questions]
        fields = {name for _, named in asked for name in named} | (_visible(asking, part) if part.questions and part.fields is None else part.fields or set())
        told = asked[0][0] if len(asked) == 1 else {"questions": [question for question, _ in asked]} if asked else {}
        return told | ({"statement": _shape(asking.statement)} if asking.statement else {}), fields
    return _parameters(asking, part, known)


def _parameters(asking: Asking, part: Part, known: frozenset[str]) -> tuple[dict[str, Any], set[str]]:
    """Records and items, as their parameters ask for them."""
    given = dict(asking.params)
    asked: dict[str, Any] = {name: given[name] for name in KEPT_PARAMETERS if name in given}
    if "bbox" in asked and "geometry" not in known:
        asked["bbox"] = REDACTED
    all_fields = _visible(asking, part)
    fields = all_fields & set(given["properties"].split(",")) if "properties" in given else set(all_fields)
    fields |= {name.strip().lstrip("+-") for name in given.get("sortby", "").split(",")} & all_fields
    if asking.item is not None:
        asked["item"] = asking.item if "id" in known else REDACTED
    if "filter" in given:
        asked["filter"], named = _condition(given["filter"], given.get("filter-lang", "cql2-text"), known)
        fields |= named
    for name, value in given.items():
        if name not in PARAMETERS and name not in KEPT_PARAMETERS:
            asked.setdefault("equal", {})[name] = value if name in known else REDACTED
            fields |= {name} & all_fields
    return asked, fields


def _question(question: Mapping[str, Any], declared: Dataset | None, known: frozenset[str]) -> tuple[dict[str, Any], set[str]]:
    """An aggregate or a scan."""
    asked = {name: _plain(value) for name, value in question.items() if name not in ("filter", "deadline_ms") and value not in (None, [], {}, False)}
    if "bbox" in asked and "geometry" not in known:
        asked["bbox"] = REDACTED
    fields: set[str] = {str(spec["field"]) for spec in asked.get("measures", {}).values() if spec.get("field")}
    for dimension in asked.get("by", {}).values():
        kind, _, _ = str(dimension).partition(":")
        own = {"area": declared.area, "time": declared.time}.get(kind) if declared and ":" in str(dimension) else dimension
        fields |= {str(own)} if own else set()
    if question.get("filter") is not None:
        asked["filter"], named = _condition(question["filter"], "cql2-text", known)
        fields |= named
    return asked, fields


def _condition(given: Any, language: str, known: frozenset[str]) -> tuple[Any, set[str]]:
    """The condition without the values of personal fields. What cannot be read is not kept: it may hold anything."""
    try:
        tree = read_text(given, pointer="") if isinstance(given, str) and language == "cql2-text" else read_json(given, pointer="")
    except Problem:
        return REDACTED, set()
    return redacted(tree, known), set(named_in(tree))


def _shape(statement: str) -> str:
    """A statement without any value or comment: which fields they would have been compared with is for the database to know."""
    import sqlglot

    try:
        tree = sqlglot.parse_one(statement, dialect="duckdb")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return REDACTED
    shape = tree.transform(lambda node: sqlglot.exp.Placeholder() if isinstance(node, sqlglot.exp.Literal) else node)
    return shape.sql(dialect="duckdb", comments=False)[:LONGEST_STATEMENT]


def _visible(asking: Asking, part: Part) -> set[str]:
    return set(visible_fields(part.declared, asking.caller)) if part.declared and asking.caller else set()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return value


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
