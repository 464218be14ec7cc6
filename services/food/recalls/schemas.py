"""Notices and recalls as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from services.food.lots.schemas import QuantityUnit
from services.food.recalls.domain import number_of, plain
from shared.row_models import AreaCode, OffsetTime, PlainText, Reference, RowModel

Grade = Literal["I", "II", "III"]
Id = Annotated[str, Field(max_length=201, pattern=r"^[A-Za-z0-9._~@+-]+:[A-Za-z0-9._~@+-]+$")]
"""`<registry>:<number>`"""


def _plain(value: Any) -> Any:
    return plain(value) or None if isinstance(value, str) else value


def _number(value: Any) -> Any:
    return number_of(value[:1_000]) if isinstance(value, str) else value


Number = Annotated[str, BeforeValidator(_number), Field(min_length=1, max_length=300)]
"""A publisher's number; what cannot stand in an address becomes a hyphen."""
Published = Annotated[str, BeforeValidator(_plain), Field(min_length=1, max_length=10_000)]
"""A text as published; mark-up, entities and line breaks are taken out."""


class NoticeIn(RowModel):
    """A document by which a recall or an alert was published. Translations and updates of one notice share its number, or its address."""

    registry: Annotated[Reference, Field(description="Who published it, such as usda-fsis")]
    number: Annotated[Number, Field(description="Number of the notice, or the end of its address")]
    language: Annotated[Literal["zh", "en", "es"] | None, Field(description="By the words of the title if not given")] = None
    document: Annotated[Reference | None, Field(description="Which of several documents in one language it is, such as feed")] = None
    kind: Annotated[Literal["recall", "alert", "outbreak"] | None, Field(description="By the words of the title if not given")] = None
    grade: Annotated[Grade | None, Field(description="Class I, II or III")] = None
    status: Literal["open", "closed"] | None = None
    published_at: OffsetTime
    title: Published
    reason: Published | None = None
    company: Published | None = None
    products: Published | None = None
    regions: Published | None = None
    url: Annotated[str | None, Field(max_length=1_000, pattern=r"^https?://[!-~]+$")] = None


class RecallIn(
    RowModel, json_schema_extra={"example": {"grade": "II", "reason": "镉超标", "lots": ["430300:paddy"], "known_since": "2026-11-22T08:00:00+08:00"}}
):
    """Food to be called back."""

    number: Annotated[Reference | None, Field(description="Number within the city; one is made if not given")] = None
    grade: Grade
    reason: PlainText
    lots: Annotated[list[Id], Field(min_length=1, max_length=50, description="What is called back; all that was made from it is found")]
    known_since: Annotated[OffsetTime, Field(description="When the hazard became known: the recall must start within 24, 48 or 72 h of it")]
    notice: Annotated[Id | None, Field(description="The published notice that it follows")] = None
    area: Annotated[AreaCode | None, Field(description="Area of the authority; that of the maker of the first lot if not given")] = None


class ProgressIn(RowModel, json_schema_extra={"example": {"informed_at": "2026-11-22T08:00:00+08:00", "removed_at": "2026-11-22T10:00:00+08:00"}}):
    """How far a recall has come at one of the premises; what is not given stays as it is."""

    informed_at: OffsetTime | None = None
    removed_at: Annotated[OffsetTime | None, Field(description="When the food was taken from sale")] = None
    returned: Annotated[float | None, Field(ge=0, le=1e12, description="What came back or was destroyed, in all")] = None
    unit: QuantityUnit | None = None
    finished_at: OffsetTime | None = None


class RecallLot(BaseModel):
    """A lot that is called back."""

    lot: str
    asked: Annotated[bool, Field(description="Whether it was named, or was found to be made from one that was")]
    amount: Annotated[float | None, Field(description="How much of the named lots is in it, in their unit")]


class RecallPlace(BaseModel):
    """Premises that made, held or sold what is called back."""

    premises: str
    name: str
    area: str
    lots: int
    informed_at: datetime | None
    removed_at: datetime | None
    returned: float | None
    unit: str | None
    finished_at: datetime | None


class RecallOut(BaseModel):
    """A recall, how far it has come, and where."""

    id: str
    grade: Grade
    reason: str
    notice: str | None
    known_since: datetime
    start_by: datetime
    opened_at: datetime
    closed_at: datetime | None
    area: str
    truncated: Annotated[bool, Field(description="The trace met its bound: there may be more premises")]
    overdue: Annotated[bool, Field(description="The time to start has passed and nobody at any of the premises was informed")]
    lots: list[RecallLot]
    premises: list[RecallPlace]
    beyond_scope: Annotated[int, Field(description="Premises outside the caller's areas")]
    informed: int
    removed: int
    finished: int
