"""The short form of an aggregate for people: `measure=calls:count&measure=p90:quantile(response_s,0.9)&by=area:district&by=time:hour`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from shared.datasets.aggregate.question import Question
from shared.errors import InvalidRequest

_TEXTS = ("filter", "bbox", "datetime", "from", "until", "tz", "having", "limit", "known_at", "strict", "deadline_ms", "max_age")
_MEASURE = re.compile(r"(?P<name>[^:()]+):(?P<fn>\w+)(?:\((?P<args>[^()]*)\))?")
_LOST_PLUS = re.compile(r"(?<=[0-9]) (?=\d\d:?\d\d$)")
"""Where the `+` of an offset arrived as a space, as it does unless it was escaped."""


class ShortForm(BaseModel):
    """The parameters, for the description of the interface; `parse_short` reads them."""

    measure: Annotated[list[str], Field(description="`calls:count`, `p90:quantile(response_s,0.9)`")] = []
    by: Annotated[list[str], Field(description="A field, `area:<level>` or `time:<unit>`")] = []
    filter: Annotated[str | None, Field(description="CQL2 text")] = None
    bbox: Annotated[str | None, Field(description="west,south,east,north (WGS 84)")] = None
    datetime: Annotated[str | None, Field(description="An instant, or a closed interval start/end")] = None
    from_: Annotated[str | None, Field(alias="from", description="First instant, included")] = None
    until: Annotated[str | None, Field(description="Last instant, not included")] = None
    tz: Annotated[str | None, Field(description="IANA time zone")] = None
    having: Annotated[str | None, Field(description="CQL2 over the columns of the answer")] = None
    sortby: Annotated[str | None, Field(description="Columns of the answer, `-` before one for descending")] = None
    limit: Annotated[str | None, Field(description="Most rows of the answer")] = None
    known_at: Annotated[str | None, Field(description="Answer as it would have been answered then")] = None
    strict: Annotated[str | None, Field(description="`true`: an error unless every source answered")] = None
    deadline_ms: Annotated[str | None, Field(description="Milliseconds the answer may take")] = None
    max_age: Annotated[str | None, Field(description="Seconds: at the hub, an answer no older than this stands in for a source that fails")] = None
    f: Annotated[str | None, Field(description="json, csv or arrow; otherwise the Accept header decides")] = None


def parse_short(parameters: Iterable[tuple[str, str]]) -> Question:
    """The question of a query string: `measure=p90:quantile(response_s,0.9)&by=area:district&by=time:hour&filter=grade<=2`."""
    asked: dict[str, Any] = {"measures": {}, "by": {}}
    for name, value in parameters:
        if name == "measure":
            _add(asked["measures"], *_measure(value), "/measure")
        elif name == "by":
            for of in filter(None, value.split(",")):
                _add(asked["by"], of.rpartition(":")[2], of, "/by")
        elif name == "sortby":
            asked.setdefault("sortby", []).extend(part.strip().removeprefix("+") for part in value.split(","))
        elif name in _TEXTS:
            _add(asked, name, _LOST_PLUS.sub("+", value) if name in ("from", "until", "known_at") else value, "")
        elif name != "f":
            raise InvalidRequest(f"There is no parameter {name[:60]!r}; there are measure, by, sortby, {', '.join(_TEXTS)}, f.", pointer=f"/{name[:60]}")
    if not asked["measures"]:
        raise InvalidRequest("Say what to measure, for example measure=calls:count or measure=p90:quantile(response_s,0.9).", pointer="/measure")
    try:
        return Question.model_validate(asked)
    except ValidationError as error:
        raise _invalid(error) from error


def _add(into: dict[str, Any], name: str, value: Any, pointer: str) -> None:
    if name in into:
        raise InvalidRequest(f"{name[:60]!r} is given twice.", pointer=pointer or f"/{name}")
    into[name] = value


def _measure(text: str) -> tuple[str, Mapping[str, Any]]:
    """`calls:count`, `p90:quantile(response_s,0.9)` as a name and its specification."""
    found = _MEASURE.fullmatch(text.strip())
    if found is None:
        raise InvalidRequest(f"{text[:80]!r} is not a measure such as calls:count or p90:quantile(response_s,0.9).", pointer="/measure")
    field, *rest = [part.strip() for part in (found["args"] or "").split(",")]
    if len(rest) > 1:
        raise InvalidRequest(f"{text[:80]!r} has more than a field and a q.", pointer="/measure")
    spec = {"fn": found["fn"], "field": field or None, "q": rest[0] if rest else None}
    return found["name"].strip(), {name: value for name, value in spec.items() if value is not None}


def _invalid(error: ValidationError) -> InvalidRequest:
    """The first of the errors in full, all of them in brief."""
    errors = [{"pointer": "/" + "/".join(str(part) for part in item["loc"]), "code": item["type"], "detail": item["msg"]} for item in error.errors()[:50]]
    return InvalidRequest(f"{errors[0]['pointer']}: {errors[0]['detail']}", pointer=errors[0]["pointer"], errors=errors)
