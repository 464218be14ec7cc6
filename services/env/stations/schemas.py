"""What crosses HTTP about stations and their series."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, model_validator

from services.env.models import StationKind
from shared.places import PlacedRow
from shared.row_models import PlainText, Reference, RowModel
from shared.series import Timing


@cache
def _zones() -> frozenset[str]:
    """Read once: it walks the whole time zone database."""
    return frozenset(available_timezones())


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("a zone is named as in the IANA database, such as Asia/Shanghai")
    return name


class StationIn(PlacedRow):
    """A monitoring station. Its area is given, or found from its point."""

    code: Reference
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    kind: StationKind = StationKind.OTHER
    timezone: Annotated[str, AfterValidator(_zone), Field(description="IANA zone in which the station counts its days; the city's if not given")] | None = None

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
