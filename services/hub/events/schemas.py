"""The event log as it crosses HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.hub.events.domain import Wanted
from shared.area_codes import CODE_PATTERN
from shared.events.model import SCALES, CloudEvent

MOST_POSITION = 2**63 - 1


def _split(value: Any) -> Any:
    """`a,b` is the same as repeating the parameter."""
    return [part for text in value for part in text.split(",")] if isinstance(value, list) else value


Pattern = Annotated[str, Field(pattern=r"^[a-z0-9.*-]{1,100}$")]
Prefix = Annotated[str, Field(pattern=CODE_PATTERN)]
Source = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}/[a-z0-9-]{1,32}$")]
Regarding = Annotated[str, Field(pattern=r"^[a-z]{1,32}/[A-Za-z0-9._~:-]{1,160}$")]
Level = Literal["I", "II", "III", "IV"]


class EventFilter(BaseModel):
    """What of the log is asked for. Every parameter may be repeated or take several values with commas."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[list[Pattern], BeforeValidator(_split), Field(max_length=50, description="Types; `*` for anything", examples=[["worksafety.*"]])] = []
    area: Annotated[list[Prefix], BeforeValidator(_split), Field(max_length=50, description="Prefixes of area codes", examples=[["4303"]])] = []
    source: Annotated[list[Source], BeforeValidator(_split), Field(max_length=50, description="Services that spoke", examples=[["430300/fire"]])] = []
    regarding: Annotated[
        list[Regarding],
        BeforeValidator(_split),
        Field(max_length=50, description="What they belong to across sectors", examples=[["releases/01JD0000000000000000000000"]]),
    ] = []
    incidentgrade: Annotated[list[Level], BeforeValidator(_split), Field(max_length=4)] = []
    warninglevel: Annotated[list[Level], BeforeValidator(_split), Field(max_length=4, examples=[["I", "II"]])] = []
    responselevel: Annotated[list[Level], BeforeValidator(_split), Field(max_length=4)] = []

    def wanted(self) -> Wanted:
        scales = {name: frozenset(getattr(self, name)) for name in SCALES}
        return Wanted(types=tuple(self.type), areas=tuple(self.area), sources=tuple(self.source), regarding=tuple(self.regarding), scales=scales)


class EventQuery(EventFilter):
    """A page of the log."""

    after: Annotated[int, Field(ge=0, le=MOST_POSITION, description="Position after which to read: 0 for the beginning, else `after` of the page before")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class StreamQuery(EventFilter):
    """A live stream of the log."""

    after: Annotated[
        int | None, Field(ge=0, le=MOST_POSITION, description="Position after which to begin, if there is no `Last-Event-ID`; without both: from now on")
    ] = None


class LoggedEvent(BaseModel):
    """An event and its place in the log."""

    position: int
    event: CloudEvent


class EventPage(BaseModel):
    """Part of the log, the oldest first. A page may be short or empty while `more` is true: go on with `after`."""

    events: list[LoggedEvent]
    after: Annotated[int, Field(description="`after` of the next page, now or later")]
    more: Annotated[bool, Field(description="Whether the log goes on beyond this page now")]
