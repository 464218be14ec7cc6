"""What an event is: a frozen, versioned fact, and its envelope on the wire (CloudEvents 1.0 JSON)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.vocabulary import IncidentGrade, ResponseLevel, WarningLevel


class Event(BaseModel):
    """A past fact. Subclasses set `type` (`food.inspection.failed.v1`) and `subject_template` (`premises/{premises}`).

    Fields are the event's `data`; `area` and the three scales travel as CloudEvents attributes instead.
    No personal data: references only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: ClassVar[str]
    subject_template: ClassVar[str]

    area: str | None = Field(default=None, exclude=True)
    incidentgrade: IncidentGrade | None = Field(default=None, exclude=True)
    warninglevel: WarningLevel | None = Field(default=None, exclude=True)
    responselevel: ResponseLevel | None = Field(default=None, exclude=True)

    @property
    def subject(self) -> str:
        return self.subject_template.format_map(self.__dict__)

    def data(self) -> dict[str, Any]:
        """The event's own fields as JSON values."""
        return self.model_dump(mode="json")


class CloudEvent(BaseModel):
    """CloudEvents 1.0, structured JSON mode, with our extension attributes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: AwareDatetime
    datacontenttype: str = "application/json"
    dataschema: str | None = None
    area: str | None = None
    sequence: str
    traceparent: str | None = None
    incidentgrade: str | None = None
    warninglevel: str | None = None
    responselevel: str | None = None
    data: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


Moment = datetime
