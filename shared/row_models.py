"""Rows checked one by one against a model: for loads whose rows are few and rich (premises, calls), not for observations."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from shared.area_codes import CODE_PATTERN
from shared.batches import LISTED, LoadAnswer, RowError
from shared.body import MEDIA_TYPES, Rows, read_body, rows_of


def _as_text(value: Any) -> Any:
    if not isinstance(value, (str, datetime)):
        raise ValueError("a time is a text such as 2026-11-22T08:00:00+08:00")
    return value


def _with_offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its offset, such as +08:00 or Z")
    return value


OffsetTime = Annotated[datetime, BeforeValidator(_as_text), AfterValidator(_with_offset)]
"""An RFC 3339 time with its offset; numbers are not times."""


def one_direction(value: str) -> str:
    """The text, if no control of writing direction is in it; `ValueError` says which one is."""
    if found := BIDI.search(value):
        raise ValueError(f"holds U+{ord(found[0]):04X}, a control of writing direction that makes text look like another; leave it out")
    return value


BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Embeddings, overrides and isolates (Unicode UAX #9): text that is shown in another order than it stands in."""
PlainText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(one_direction)
]
"""One line of text without control characters."""
Reference = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._~@+-]+$")]
"""An identifier that can stand in an address."""
AreaCode = Annotated[str, StringConstraints(max_length=32, pattern=CODE_PATTERN)]
Longitude = Annotated[float, Field(ge=-180, le=180, description="Degrees, WGS 84")]
Latitude = Annotated[float, Field(ge=-90, le=90, description="Degrees, WGS 84")]


EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
SKEW = timedelta(minutes=5)
"""How far a client's clock may be ahead."""


def misdated(at: datetime, now: datetime) -> str | None:
    """What is wrong with the time of something that has happened: in the future, or years off."""
    if at > now + SKEW:
        return f"{at.isoformat()} lies in the future; it is {now.isoformat(timespec='seconds')} now."
    return f"{at.isoformat()} lies before {EARLIEST.year}." if at < EARLIEST else None


class RowModel(BaseModel):
    """What a row must look like; unknown members are refused rather than lost."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Row = TypeVar("Row", bound=RowModel)


@dataclass(slots=True)
class Checked(Generic[Row]):
    """A batch whose rows were checked: the good ones by their number, and why the others are not."""

    rows: dict[int, Row]
    digest: bytes = b""
    """SHA-256 of the body as it was sent."""
    errors: dict[int, RowError] = field(default_factory=dict)

    def reject(self, row: int, member: str, code: str, detail: str) -> None:
        """Take a row out; its first fault is its reason."""
        self.rows.pop(row, None)
        self.errors.setdefault(row, RowError(row, f"/{row}/{member}" if member else f"/{row}", code, detail))

    def answer(self, taken: Collection[int], corrected: Collection[int], duplicates: Collection[int]) -> LoadAnswer:
        listed = [self.errors[row] for row in sorted(self.errors)[:LISTED]]
        return LoadAnswer(len(taken), len(corrected), len(duplicates), len(self.errors), listed, len(self.errors) - len(listed))


def check_rows(rows: Mapping[int, Any], model: type[Row]) -> Checked[Row]:
    """Check each row by itself against the model."""
    checked: Checked[Row] = Checked({})
    good = dict(rows)
    for row, name in _truths(rows, model):
        good.pop(row, None)
        checked.reject(row, name, "not-a-number", f"{name} must be a number, not {str(rows[row][name]).lower()}.")
    try:
        valid = _list_of(model).validate_python(list(good.values()))
    except ValidationError as error:
        numbers = list(good)
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            row = numbers[int(fault["loc"][0])]
            good.pop(row, None)
            checked.reject(row, "/".join(str(part) for part in fault["loc"][1:]), fault["type"].replace("_", "-"), fault["msg"])
        valid = _list_of(model).validate_python(list(good.values()))
    checked.rows = dict(zip(good, valid, strict=True))
    return checked


def _truths(rows: Mapping[int, Any], model: type[Row]) -> list[tuple[int, str]]:
    """Rows with true or false in the place of a number, which pydantic would take for 1 and 0."""
    names = _numbers(model)
    return [(number, name) for number, row in rows.items() if isinstance(row, dict) for name in names if isinstance(row.get(name), bool)]


@cache
def _numbers(model: type[Row]) -> tuple[str, ...]:
    """The members that are numbers."""
    kinds = {name: {each.get("type") for each in (member, *member.get("anyOf", ()))} for name, member in model.model_json_schema()["properties"].items()}
    return tuple(name for name, found in kinds.items() if found & {"number", "integer"} and "boolean" not in found)


@cache
def _list_of(model: type[Row]) -> TypeAdapter[list[Row]]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]  # the model is a value here


def _by_number(rows: Rows) -> dict[int, Any]:
    return dict(zip(rows.numbers.tolist(), rows.dicts(), strict=True))


def batch_of(model: type[Row]) -> Any:
    """A dependency that reads and checks a request's batch: `Annotated[Checked[X], batch_of(X)]`."""

    async def read(request: Request) -> Checked[Row]:
        body = await read_body(request, MEDIA_TYPES)
        rows = rows_of(body, model.model_fields)
        checked = check_rows(_by_number(rows), model)
        for error in rows.unreadable:
            checked.errors[error.row] = error
        checked.digest = body.digest
        return checked

    return Depends(read)


def batch_docs(model: type[BaseModel], example: Mapping[str, Any], media_types: Iterable[str] = MEDIA_TYPES) -> dict[str, Any]:
    """The OpenAPI description of such a body: `openapi_extra=batch_docs(X, {...})`."""
    rows = {"type": "array", "items": model.model_json_schema()}
    content = {kind: {"schema": rows, "example": [dict(example)]} if kind == "application/json" else {"schema": {"type": "string"}} for kind in media_types}
    return {"requestBody": {"required": True, "content": content}}
