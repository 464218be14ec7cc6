"""The question that an aggregate answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from shared.datasets.aggregate.columns import Function
from shared.datasets.extent import YEARS
from shared.time_zones import ZoneName

MAX_ROWS = 100_000
"""Most groups of one answer."""
MAX_MEASURES, MAX_DIMENSIONS, MAX_PARTS = 32, 8, 16
MAX_AGE_S = 86_400
"""Oldest answer that may be asked for."""


def _within_calendar(moment: datetime) -> datetime:
    if not YEARS[0] < moment.year <= YEARS[1]:
        raise _error("year-out-of-range", f"the year must lie above {YEARS[0]} and up to {YEARS[1]}")
    return moment.astimezone(UTC)


def _error(code: str, detail: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{detail}", {"detail": detail})


def _bbox_numbers(given: object) -> object:
    return given.split(",") if isinstance(given, str) else given


Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", description="Name of a column in the answer")]
By = Annotated[str, Field(min_length=1, max_length=100, description="A field, `area:<level>` or `time:<unit>`")]
Zone = Annotated[ZoneName, Field(description="IANA zone in which days and hours are cut; the city's own if not given")]
Filter = Annotated[str | dict[str, Any], Field(description="CQL2, text or JSON")]
Sort = Annotated[str, Field(min_length=1, max_length=130, description="A column of the answer, `-` before it for descending")]
Moment = Annotated[AwareDatetime, AfterValidator(_within_calendar)]
Coordinates = Annotated[list[float], BeforeValidator(_bbox_numbers), Field(min_length=4, max_length=6)]


class MeasureSpec(BaseModel):
    """One measure: `{"fn": "quantile", "field": "response_s", "q": 0.9}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fn: Function
    field: Annotated[str | None, Field(max_length=100, description="The field that is measured; `count` may do without")] = None
    q: Annotated[float | None, Field(gt=0, le=1, description="For `quantile`: which one, above 0 up to 1")] = None


class Frame(BaseModel):
    """What every aggregate may say, of one dataset or across several."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    by: Annotated[dict[Name, By], Field(max_length=MAX_DIMENSIONS)] = {}
    bbox: Annotated[Coordinates | None, Field(description="west, south, east, north (WGS 84)")] = None
    datetime: Annotated[str | None, Field(max_length=100, description="An instant or a closed interval, as in OGC API – Features")] = None
    from_: Annotated[Moment | None, Field(alias="from", description="First instant, included")] = None
    until: Annotated[Moment | None, Field(description="Last instant, not included")] = None
    tz: Zone | None = None
    having: Annotated[Filter | None, Field(description="CQL2 over the columns of the answer")] = None
    sortby: Annotated[list[Sort], Field(max_length=MAX_MEASURES)] = []
    limit: Annotated[int | None, Field(ge=1, le=MAX_ROWS)] = None
    known_at: Annotated[Moment | None, Field(description="Answer as it would have been answered then")] = None
    strict: Annotated[bool, Field(description="An error unless every source answered")] = False
    deadline_ms: Annotated[int | None, Field(ge=1, le=600_000)] = None
    max_age: Annotated[
        float | None,
        Field(ge=0, le=MAX_AGE_S, description="Seconds: at the hub, an answer no older than this stands in for a source that fails, and says so (`stale`)"),
    ] = None

    @model_validator(mode="after")
    def _times_agree(self) -> Self:
        if self.datetime is not None and (self.from_ is not None or self.until is not None):
            raise _error("two-intervals", "datetime (closed) and from, until (half-open) exclude each other")
        if self.from_ is not None and self.until is not None and self.from_ >= self.until:
            raise _error("empty-interval", "from must be before until")
        return self


class Question(Frame):
    """An aggregate of one dataset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "measures": {"calls": {"fn": "count"}, "p90": {"fn": "quantile", "field": "response_s", "q": 0.9}},
                    "by": {"district": "area:district", "hour": "time:hour"},
                    "from": "2026-11-01T00:00:00+08:00",
                    "until": "2026-11-08T00:00:00+08:00",
                    "tz": "Asia/Shanghai",
                    "having": "calls >= 5",
                    "sortby": ["-calls"],
                    "limit": 100,
                }
            ]
        }
    )

    measures: Annotated[dict[Name, MeasureSpec], Field(min_length=1, max_length=MAX_MEASURES)]
    filter: Filter | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if both := set(self.measures) & set(self.by):
            raise _error("name-twice", f"{min(both)!r} names both a measure and a dimension")
        return self

    def for_states(self) -> Question:
        """The same question as it is put to a source: what comes after the merge left out."""
        return self.model_copy(update={"having": None, "sortby": [], "limit": None, "strict": False, "max_age": None})


class Part(BaseModel):
    """One dataset of an aggregate across several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: Annotated[str, Field(min_length=1, max_length=100)]
    measures: Annotated[dict[Name, MeasureSpec], Field(min_length=1, max_length=MAX_MEASURES)]
    filter: Filter | None = None

    @model_validator(mode="after")
    def _status_is_taken(self) -> Self:
        if "status" in self.measures:
            raise _error("name-taken", "'status' names the column that tells how the part stands in a cell; call the measure something else")
        return self


class Across(Frame):
    """An aggregate across several datasets on shared dimensions; columns are named `part.measure`."""

    across: Annotated[dict[Name, Part], Field(min_length=1, max_length=MAX_PARTS)]

    def questions(self) -> dict[str, Question]:
        """What each dataset is asked, by the name of its part."""
        shared = self.model_dump(by_alias=True, exclude={"across", "having", "sortby", "limit", "strict"})
        return {name: Question.model_validate(shared | {"measures": part.measures, "filter": part.filter}) for name, part in self.across.items()}
