"""What crosses HTTP about incidents and tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.hub.incidents.domain import Answer, Basis, State, TaskState
from shared.places import PlacedRow
from shared.row_models import OffsetTime, PlainText, RowModel, one_direction

Kind = Literal["release", "fire", "explosion", "traffic", "food", "environment", "flood", "storm", "earthquake", "health", "security", "other"]
LongText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"),
    AfterValidator(one_direction),
]
"""Text of several lines, without other control characters."""
Identifier = Annotated[str, Field(pattern=r"^[0-9A-Z]{26}$", examples=["01JD3V8Q6T8E4M2Z5Y7W9X0ABC"])]
Roman = Annotated[int, Field(ge=1, le=4, description="1 (I, the gravest) to 4 (IV)")]
Count = Annotated[int, Field(ge=0, le=100_000_000)]
Revision = Annotated[
    int, Field(ge=1, le=2**31 - 1, description="The `revision` that the change starts from; if the incident has another by now, nothing is changed")
]


def _small(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError as error:
        raise ValueError("is not JSON that can be kept") from error
    if size > 64 * 1024 or b"\\u0000" in orjson.dumps(value):
        raise ValueError("is larger than 64 KiB, or holds a NUL character")
    return value


KeptJson = Annotated[dict[str, Any], AfterValidator(_small)]


class IncidentIn(
    PlacedRow,
    json_schema_extra={
        "example": {"kind": "fire", "title_zh": "仓库火灾", "title_en": "Warehouse fire", "area": "430304", "lon": 112.94, "lat": 27.83, "crs": "wgs84"}
    },
):
    """An incident that an officer opens."""

    kind: Kind
    title_zh: PlainText
    title_en: PlainText
    place: PlainText | None = None
    about: Annotated[str | None, Field(pattern=r"^[a-z]{1,32}/[A-Za-z0-9:_.-]{1,150}$", description="What belongs to it: `releases/01JD…`")] = None
    exercise: bool = False
    commander: PlainText | None = None
    grade: Annotated[Roman | None, Field(description="If an officer sets it; else by rule")] = None
    grade_reason: PlainText | None = None
    opened_at: OffsetTime | None = None

    @model_validator(mode="after")
    def _reason(self) -> IncidentIn:
        if (self.grade is None) != (self.grade_reason is None):
            raise ValueError("a grade that an officer sets needs its grade_reason")
        return self


class FiguresIn(RowModel, json_schema_extra={"example": {"revision": 1, "deaths": 0, "serious_injuries": 12}}):
    """What has become known. Figures stated here replace those before; the grade follows by rule unless an officer has set it."""

    revision: Revision
    title_zh: PlainText | None = None
    title_en: PlainText | None = None
    place: PlainText | None = None
    commander: PlainText | None = None
    deaths: Count | None = None
    serious_injuries: Count | None = None
    loss_cny: Annotated[float | None, Field(ge=0, le=1e13, description="Direct loss, yuan")] = None
    people_threatened: Count | None = None


class GradeIn(RowModel, json_schema_extra={"example": {"revision": 2, "grade": 3, "reason": "按现场核实的伤亡人数"}}):
    """A grade that an officer sets; null gives it back to the rules."""

    revision: Revision
    grade: Roman | None
    reason: PlainText


class ResponseIn(RowModel, json_schema_extra={"example": {"revision": 3, "level": 3, "authority": "市人民政府", "reason": "启动三级响应"}}):
    """The response level that an authority sets; null ends the response."""

    revision: Revision
    level: Roman | None
    authority: PlainText
    reason: PlainText


class ClosingIn(RowModel, json_schema_extra={"example": {"revision": 4, "summary": "火已扑灭，无人死亡"}}):
    """Closing: what happened, in a few lines."""

    revision: Revision
    summary: LongText


class ReopeningIn(RowModel, json_schema_extra={"example": {"revision": 5, "reason": "复燃"}}):
    """Reopening, and why."""

    revision: Revision
    reason: PlainText


class EntryIn(RowModel, json_schema_extra={"example": {"kind": "decision", "text": "疏散下风向居民"}}):
    """An officer's entry in the timeline."""

    kind: Literal["decision", "note"] = "note"
    text: LongText
    coverage: Annotated[KeptJson | None, Field(description="`coverage` of the answer that a decision rests on, kept with it")] = None
    at: OffsetTime | None = None


class AttachedIn(RowModel, json_schema_extra={"example": {"position": 1042}}):
    """An event of the log that belongs to the incident, too."""

    position: Annotated[int, Field(ge=1, le=2**63 - 1)]


class JoinedIn(RowModel):
    """A subject whose events belong to the incident from now on."""

    regarding: Annotated[str, Field(pattern=r"^[a-z]{1,32}/[A-Za-z0-9:_.-]{1,150}$", examples=["releases/01JD3V8Q6T8E4M2Z5Y7W9X0ABC"])]


class TaskIn(RowModel):
    """Something that a sector is asked to do."""

    sector: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,31}$", examples=["traffic"])]
    what_zh: PlainText
    what_en: PlainText
    due_at: OffsetTime | None = None


class AnswerIn(RowModel, json_schema_extra={"example": {"state": "acknowledged", "note": "已出动"}}):
    """What the sector says to its task."""

    state: Answer
    note: PlainText | None = None

    @model_validator(mode="after")
    def _why(self) -> AnswerIn:
        if self.state == "declined" and self.note is None:
            raise ValueError("a sector that declines says why in `note`")
        return self


class WaivingIn(RowModel, json_schema_extra={"example": {"reason": "演练"}}):
    """Why a task need not be done any more."""

    reason: PlainText


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TaskOut(Out):
    """A task, and whether it should have been done by now."""

    id: str
    incident: str
    sector: str
    what_zh: str
    what_en: str
    due_at: datetime | None
    state: TaskState
    overdue: bool
    note: str | None
    assigned_at: datetime
    answered_at: datetime | None
    answered_by: str | None


class IncidentOut(Out):
    """An incident as it stands."""

    id: str
    kind: str
    title_zh: str
    title_en: str
    area: str
    place: str | None
    lon: float | None
    lat: float | None
    exercise: bool
    grade: Roman
    grade_basis: Basis
    grade_reason: str
    deaths: int | None
    serious_injuries: int | None
    loss_cny: float | None
    people_threatened: int | None
    response_level: int | None
    response_authority: str | None
    commander: str | None
    state: State
    opened_at: datetime
    closing_proposed_at: datetime | None
    closed_at: datetime | None
    summary: str | None
    revision: int
    regarding: list[str]
    """Subjects whose events belong to it."""
    tasks: list[TaskOut]


class TimelineItem(Out):
    """One thing that happened: an event of the city, or an officer's entry."""

    recorded_at: Annotated[datetime, Field(description="When the hub learned of it; the order of the timeline")]
    at: Annotated[datetime, Field(description="When it happened")]
    kind: Annotated[str, Field(description="`event`, `decision`, `note`, or what the hub noted itself")]
    position: Annotated[int | None, Field(description="Of an event, in the city's log")] = None
    event: dict[str, Any] | None = None
    id: str | None = None
    text: str | None = None
    by: str | None = None
    coverage: dict[str, Any] | None = None


class Timeline(Out):
    """Part of a timeline, the oldest first."""

    items: list[TimelineItem]
    next: Annotated[str | None, Field(description="`after` of the next page, if there is one now")]
    known_at: datetime | None
