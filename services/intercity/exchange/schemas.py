"""The payloads of questions between cities."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.intercity.agreements.schemas import DatasetId, FieldName
from services.intercity.messages.wire import City
from shared.datasets.aggregate.question import Question

Short = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Place = Annotated[str, Field(min_length=1, max_length=2000)]


class Sort(BaseModel):
    """One level of an order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: FieldName
    descending: bool = False


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: DatasetId
    origin: Annotated[City | None, Field(description="Whose data are wanted, if not the asked city's own")] = None


class DescribeAsked(_Asked):
    """What is agreed of a dataset, described."""


class RecordsAsked(_Asked):
    """Rows of a dataset."""

    properties: Annotated[list[FieldName] | None, Field(max_length=200)] = None
    filter: Annotated[dict[str, Any] | bool | None, Field(description="CQL2 JSON")] = None
    bbox: Short | None = None
    datetime: Short | None = None
    sortby: Annotated[list[Sort], Field(max_length=7)] = []
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100
    after: Annotated[list[Place | None] | None, Field(max_length=8)] = None
    known_at: Short | None = None
    hits: bool = False
    id: Annotated[str | None, Field(min_length=1, max_length=500)] = None


class AggregateAsked(_Asked):
    """Finished cells of a dataset."""

    question: Question
