"""What an event is: a frozen, versioned fact, and its envelope on the wire (CloudEvents 1.0 JSON)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.vocabulary import IncidentGrade, ResponseLevel, WarningLevel

SCALES = ("incidentgrade", "warninglevel", "responselevel")
"""The attributes that place an event on a scale; on the wire a Roman numeral, I the gravest."""
ROMAN = ("I", "II", "III", "IV")


class Event(BaseModel):
    """A past fact. Subclasses set `type` (`food.inspection.failed.v1`) and `subject_template` (`premises/{premises}`).

    Fields are the event's `data`; `area`, `regarding` and the three scales travel as CloudEvents attributes instead.
    No personal data: references only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    type: ClassVar[str]
    subject_template: ClassVar[str]

    area: str | None = Field(default=None, exclude=True)
    incidentgrade: IncidentGrade | None = Field(default=None, exclude=True)
    warninglevel: WarningLevel | None = Field(default=None, exclude=True)
    responselevel: ResponseLevel | None = Field(default=None, exclude=True)
    regarding: str | None = Field(default=None, exclude=True, max_length=200)
    """What it belongs to across sectors: `releases/01JD…`, `incidents/01JD…`. Whoever reacts to an event passes its `regarding` on."""

    @property
    def subject(self) -> str:
        return self.subject_template.format_map(self.__dict__)

    def data(self) -> dict[str, Any]:
        """The event's own fields as JSON values."""
        return self.model_dump(mode="json")

    def scales(self) -> dict[str, str]:
        """The scales that the event names, as they stand on the wire: `{"warninglevel": "II"}`."""
        named = {name: getattr(self, name) for name in SCALES}
        return {name: ROMAN[level - 1] for name, level in named.items() if level is not None}

    @classmethod
    def from_envelope(cls, envelope: CloudEvent) -> Self:
        """The event that an envelope carries; `ValidationError` if it is not one of this class."""
        named = {name: getattr(envelope, name) for name in SCALES}
        scales = {name: ROMAN.index(level) + 1 for name, level in named.items() if level is not None}
        return cls.model_validate({**envelope.data, **scales, "area": envelope.area, "regarding": envelope.regarding})


Roman = Literal["I", "II", "III", "IV"]
Name = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]


class CloudEvent(BaseModel):
    """CloudEvents 1.0, structured JSON mode, with our extension attributes."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: str = "1.0"
    id: Name
    source: Name
    type: Name
    subject: Name
    time: AwareDatetime
    datacontenttype: str = "application/json"
    dataschema: str | None = None
    area: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    sequence: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
    traceparent: str | None = None
    incidentgrade: Roman | None = None
    warninglevel: Roman | None = None
    responselevel: Roman | None = None
    regarding: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")] | None = None
    data: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)
