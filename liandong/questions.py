"""From what a person writes to what the hub is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypedDict

Measures = Mapping[str, "str | Mapping[str, Any]"] | Sequence[str]
"""`{"calls": "count", "p90": "quantile(response_s, 0.9)"}`, the contract's own form `{"fn": "avg", "field": "value"}`, or just `["count"]`."""
By = Mapping[str, str] | Sequence[str]
"""`{"district": "area:district"}`, or `["area:district", "time:hour"]`, which names the columns by what follows the colon."""
Moment = str | date | datetime
Box = tuple[float, float, float, float] | Sequence[float]
_MEASURE = re.compile(r"(?P<fn>[a-z]+)(?:\(\s*(?P<field>[^,()]*?)\s*(?:,\s*(?P<q>[0-9.]+)\s*)?\))?")


class Frame(TypedDict, total=False):
    """What may narrow or shape an aggregate, one dataset or several."""

    start: Moment
    """From then, included."""
    until: Moment
    """Until then, not included."""
    datetime: str
    """An OGC interval, closed at both ends: `2026-11-01T00:00:00Z/..`."""
    bbox: Box
    tz: str
    """The zone in which hours and days are cut; the city's own if not given."""
    known_at: Moment
    """As it would have been answered then."""
    having: str
    """`calls >= 5`, on the finished measures."""
    sortby: Sequence[str]
    limit: int
    strict: bool
    """An error unless every source answered."""
    deadline_ms: int
    max_age: int
    """Seconds: an answer that old may stand in for a source that is asked or fails."""
    sources: Sequence[str]
    """Only these: `["430300/fire"]`."""


class Chosen(TypedDict, total=False):
    """What may narrow or shape records."""

    filter: str | Mapping[str, Any]
    """CQL2, as text or JSON."""
    bbox: Box
    datetime: str
    properties: Sequence[str]
    sortby: Sequence[str]
    known_at: Moment
    geometry: bool
    """False: without places."""
    strict: bool
    deadline_ms: int
    max_age: int
    sources: Sequence[str]


class SqlOptions(TypedDict, total=False):
    """What may accompany SQL."""

    params: Sequence[str | int | float | bool | None] | Mapping[str, str | int | float | bool | None]
    """Values for `?` or `$1` as a list, for `$name` by name; they become literals, never text."""
    limit: int
    """Most rows, 10,000 if not given; `Answer.truncated` tells whether there were more."""
    strict: bool
    deadline_ms: int
    max_age: int
    known_at: Moment
    sources: Sequence[str]


def sql_body(sql: str, options: SqlOptions, **more: Any) -> dict[str, Any]:
    """The SQL question as the contract has it."""
    plain = {name: _plain(name, value) for name, value in options.items() if value is not None}
    return {"sql": sql, **plain, **more}


def aggregate_body(measures: Measures, by: By, filter: str | Mapping[str, Any] | None, frame: Frame) -> dict[str, Any]:  # noqa: A002  # the contract's word
    """The question about one dataset as the contract has it."""
    body: dict[str, Any] = {"measures": measures_of(measures), "by": dimensions_of(by)}
    return body | ({"filter": filter} if filter is not None else {}) | frame_of(frame)


def across_body(parts: Mapping[str, Mapping[str, Any]], by: By, frame: Frame) -> dict[str, Any]:
    """The question about several datasets; each part names `dataset`, `measures`, perhaps `filter`."""
    across = {name: {**part, "measures": measures_of(part["measures"])} for name, part in parts.items()}
    return {"across": across, "by": dimensions_of(by)} | frame_of(frame)


def frame_of(frame: Frame) -> dict[str, Any]:
    """The frame as the contract has it."""
    return {"from" if name == "start" else name: _plain(name, value) for name, value in frame.items() if value is not None}


def _plain(name: str, value: Any) -> Any:
    if name in ("start", "until", "known_at"):
        return moment(value)
    if name == "params" and isinstance(value, Mapping):
        return dict(value)
    return list(value) if name in ("bbox", "sortby", "sources", "params") else value


def measures_of(measures: Measures) -> dict[str, dict[str, Any]]:
    """Measures by the names of their columns."""
    if isinstance(measures, str):
        measures = [measures]
    named = measures if isinstance(measures, Mapping) else {_column(text): text for text in measures}
    return {name: measure(spec) if isinstance(spec, str) else dict(spec) for name, spec in named.items()}


def measure(text: str) -> dict[str, Any]:
    """`count`, `avg(value)`, `quantile(value, 0.9)`; `ValueError` for anything else."""
    found = _MEASURE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no measure. Write count, avg(field) or quantile(field, 0.9).")
    named: dict[str, Any] = {"fn": found["fn"]}
    return named | ({"field": found["field"]} if found["field"] else {}) | ({"q": float(found["q"])} if found["q"] else {})


def dimensions_of(by: By) -> dict[str, str]:
    """Dimensions by the names of their columns."""
    if isinstance(by, str):
        by = [by]
    return dict(by) if isinstance(by, Mapping) else {of.rpartition(":")[2]: of for of in by}


def record_params(chosen: Chosen, *, most: int | None) -> list[tuple[str, str]]:
    """The parameters of records."""
    params = [("f", "arrow")] + ([("limit", str(most))] if most is not None else [])
    return params + [pair for name, value in chosen.items() if value is not None for pair in _params(name, value)]


def _params(name: str, value: Any) -> list[tuple[str, str]]:
    match name:
        case "filter" if not isinstance(value, str):
            return [("filter", json.dumps(value)), ("filter-lang", "cql2-json")]
        case "bbox":
            return [(name, ",".join(repr(float(part)) for part in value))]
        case "properties" | "sortby" | "sources":
            return [(name, value if isinstance(value, str) else ",".join(value))]
        case "known_at":
            return [(name, moment(value))]
        case "geometry":
            return [] if value else [("skipGeometry", "true")]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def moment(value: Moment) -> str:
    """A moment as text; one without a zone is refused, since cities have different ones. A day is the midnight at its beginning, so it needs one too."""
    if isinstance(value, str):
        return value
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(f"{value!r} names no moment without a zone: give an aware datetime, or text such as 2026-11-01T00:00:00+08:00.")
    return value.isoformat()


def _column(text: str) -> str:
    """A name for a measure that has none: `count`, `avg_value`."""
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")
