"""What crosses HTTP about warnings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from services.hub.incidents.schemas import KeptJson, LongText, Out, Revision, Roman
from services.hub.warnings.domain import Hazard, Kind, Scope, State, Status
from shared.cap.document import Category, Certainty, ResponseType, Urgency
from shared.row_models import AreaCode, OffsetTime, PlainText, RowModel

CityCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class WarningIn(
    RowModel,
    json_schema_extra={
        "example": {
            "status": "Exercise",
            "level": 2,
            "hazard": "hazardous-release",
            "categories": ["CBRNE"],
            "urgency": "Immediate",
            "certainty": "Observed",
            "event_zh": "氯气泄漏",
            "event_en": "Chlorine release",
            "headline_zh": "下风向居民关闭门窗",
            "headline_en": "Downwind: close windows",
            "description_zh": "岳塘区氯气泄漏。",
            "description_en": "Chlorine escapes in Yuetang.",
            "areas": ["430304"],
            "area_name_zh": "岳塘区",
            "area_name_en": "Yuetang District",
            "expires": "2026-11-22T20:00:00+08:00",
        }
    },
):
    """A warning to be: who is warned of what, how urgently, until when, in Chinese and in English."""

    status: Annotated[Status, Field(description="`Exercise` and `Test` never reach a public channel")]
    kind: Kind = "Alert"
    previous: Annotated[str | None, Field(max_length=60, description="The warning that an Update replaces or a Cancel ends")] = None
    incident: Annotated[str | None, Field(max_length=60, description="Its area is warned, and the newest outline of its release")] = None
    scope: Scope = "Public"
    restriction: Annotated[PlainText | None, Field(description="For whom it is, if the scope is Restricted")] = None
    level: Annotated[Roman, Field(description="1 red, 2 orange, 3 yellow, 4 blue")]
    hazard: Hazard
    categories: Annotated[list[Category], Field(min_length=1, max_length=12)]
    response_types: Annotated[list[ResponseType], Field(max_length=9)] = []
    urgency: Urgency
    certainty: Certainty
    event_zh: PlainText
    event_en: PlainText
    headline_zh: PlainText
    headline_en: PlainText
    description_zh: LongText
    description_en: LongText
    instruction_zh: LongText | None = None
    instruction_en: LongText | None = None
    area_name_zh: PlainText
    area_name_en: PlainText
    areas: Annotated[list[AreaCode], Field(max_length=100, description="Codes of the areas that are warned; the incident's if empty")] = []
    geometry: Annotated[KeptJson | None, Field(description="GeoJSON Polygon or MultiPolygon, WGS 84; the incident's outline if not given")] = None
    onset: OffsetTime | None = None
    expires: OffsetTime
    recipients: Annotated[list[CityCode], Field(max_length=50, description="Cities it is meant for beside this one: `430200`")] = []

    @model_validator(mode="after")
    def _fits(self) -> WarningIn:
        if (self.scope == "Restricted") != (self.restriction is not None):
            raise ValueError("`restriction` is there if, and only if, the scope is Restricted")
        if (self.instruction_zh is None) != (self.instruction_en is None):
            raise ValueError("an instruction is given in both languages")
        if not self.areas and self.incident is None:
            raise ValueError("say which areas are warned, or name the incident")
        return self


class WarningChange(
    WarningIn,
    json_schema_extra={
        "example": {
            "revision": 1,
            "status": "Exercise",
            "level": 2,
            "hazard": "hazardous-release",
            "categories": ["CBRNE"],
            "urgency": "Immediate",
            "certainty": "Observed",
            "event_zh": "氯气泄漏",
            "event_en": "Chlorine release",
            "headline_zh": "下风向居民关闭门窗",
            "headline_en": "Downwind: close windows",
            "description_zh": "岳塘区氯气泄漏。",
            "description_en": "Chlorine escapes in Yuetang.",
            "areas": ["430304"],
            "area_name_zh": "岳塘区",
            "area_name_en": "Yuetang District",
            "expires": "2026-11-22T20:00:00+08:00",
        }
    },
):
    """The whole draft anew."""

    revision: Revision


class Reviewed(RowModel, json_schema_extra={"example": {"revision": 1}}):
    """What is approved or withdrawn: the draft at this revision, and no other."""

    revision: Revision


class IssueIn(RowModel):
    """In whose name, and by what law, it is issued."""

    revision: Revision
    authority: Annotated[PlainText, Field(examples=["湘潭市人民政府"])]
    legal_basis: Annotated[PlainText, Field(examples=["《突发事件应对法》第六十四条"])]


class WarningOut(Out):
    """A warning as it stands."""

    id: str
    incident: str | None
    previous: str | None
    followed_by: str | None
    status: Status
    kind: Kind
    scope: Scope
    restriction: str | None
    level: Roman
    hazard: Hazard
    categories: list[str]
    response_types: list[str]
    urgency: str
    certainty: str
    event_zh: str
    event_en: str
    headline_zh: str
    headline_en: str
    description_zh: str
    description_en: str
    instruction_zh: str | None
    instruction_en: str | None
    area_name_zh: str
    area_name_en: str
    area: str
    areas: list[str]
    geometry: dict[str, Any] | None
    onset: datetime | None
    expires: datetime
    recipients: list[str]
    state: State
    author: str
    editors: list[str]
    approver: str | None
    approved_at: datetime | None
    authority: str | None
    legal_basis: str | None
    issued_by: str | None
    identifier: str | None
    sender: str | None
    sent: datetime | None
    revision: int


class PeersWarning(Out):
    """A warning that a peer city sent."""

    position: Annotated[int, Field(description="Of the event in the city's log")]
    received_at: datetime
    event: Annotated[dict[str, Any], Field(description="`intercity.warning.received.v1`; the document is at the gateway")]
