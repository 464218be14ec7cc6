"""What crosses HTTP when all sources are asked."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from services.hub.federation.naming import Named
from shared.datasets.aggregate.question import MAX_MEASURES, MAX_PARTS, Across, Filter, Frame, MeasureSpec, Name, Part, Question
from shared.errors import InvalidBody

Kind = TypeVar("Kind", bound=Frame)
_EXAMPLE: dict[str, Any] = {
    "across": {
        "fires": {"dataset": "fire.calls", "measures": {"calls": {"fn": "count"}}},
        "air": {"dataset": "env.observations", "measures": {"pm25": {"fn": "avg", "field": "value"}}, "filter": "property = 'pm25'"},
    },
    "by": {"district": "area:district", "day": "time:day"},
    "from": "2026-11-01T00:00:00+08:00",
    "tz": "Asia/Shanghai",
}


class NamedQuestion(Question):
    """An aggregate of one dataset, of all its sources or of those named."""

    sources: Named | None = None


class Asked(Frame):
    """An aggregate of one dataset (`dataset`, `measures`, `filter`) or of several (`across`)."""

    model_config = {"json_schema_extra": {"examples": [_EXAMPLE]}}

    dataset: Annotated[str | None, Field(min_length=1, max_length=100, examples=["fire.calls"])] = None
    measures: Annotated[dict[Name, MeasureSpec] | None, Field(min_length=1, max_length=MAX_MEASURES)] = None
    filter: Filter | None = None
    across: Annotated[dict[Name, Part] | None, Field(min_length=1, max_length=MAX_PARTS)] = None
    sources: Named | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        one, several = self.dataset is not None and self.measures is not None, self.across is not None
        if one == several or (several and (self.dataset is not None or self.measures is not None or self.filter is not None)):
            raise PydanticCustomError("one-or-across", "say either dataset and measures (and filter), or across")
        return self

    @property
    def named(self) -> str:
        """The one dataset."""
        return self.dataset or ""

    def question(self) -> Question:
        """The question about the one dataset."""
        return _valid(Question, self.model_dump(by_alias=True, exclude={"dataset", "across", "sources"}))

    def as_across(self) -> Across:
        """The question about several."""
        return _valid(Across, self.model_dump(by_alias=True, exclude={"dataset", "measures", "filter", "sources"}))


def _valid(kind: type[Kind], asked: dict[str, Any]) -> Kind:
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InvalidBody(first["msg"], pointer="/" + "/".join(map(str, first["loc"]))) from error
