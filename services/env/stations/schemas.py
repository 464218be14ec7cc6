"""What crosses HTTP about stations and their series."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from services.env.models import StationKind
from shared.places import PlacedRow
from shared.row_models import PlainText, Reference, RowModel
from shared.series import Timing
from shared.time_zones import ZoneName


class StationIn(PlacedRow):
    """A monitoring station. Its area is given, or found from its point."""

    code: Reference
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    kind: StationKind = StationKind.OTHER
    timezone: Annotated[ZoneName, Field(description="IANA zone in which the station counts its days; the city's if not given")] | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.name_zh is None and self.name_en is None:
            raise ValueError("a station needs name_zh or name_en")
        return self


class SeriesIn(RowModel):
    """What a station measures, and what the times of its values mean. It cannot be changed later: the values would come to mean something else."""

    station: Reference
    property: Reference
    timing: Annotated[Timing, Field(description="Whether the time of a value is an instant, or the beginning or end of its interval")]
    interval_s: Annotated[int, Field(ge=1, le=31 * 86_400, description="Length of the interval in seconds; needed for begin and end")] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.timing is not Timing.INSTANT and self.interval_s is None:
            raise ValueError("timing begin or end needs interval_s")
        return self
