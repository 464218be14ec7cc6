"""What crosses HTTP about the air quality index."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field


class LevelOut(BaseModel):
    """A level of the index."""

    number: Annotated[int, Field(ge=1, le=6)]
    zh: str
    en: str


class IndexOut(BaseModel):
    """The air quality index of a station."""

    station: str
    aqi: int
    level: LevelOut
    primary: Annotated[list[str], Field(description="Pollutants with the greatest index, if that is above 50")]
    iaqi: Annotated[dict[str, int], Field(description="Individual indices of the pollutants that have a valid mean")]
    missing: Annotated[list[str], Field(description="Pollutants without a valid mean; the index may be higher than `aqi`")]
    edition: Annotated[str, Field(description="The edition of HJ 633 in force on the day of observation")]


class HourIndexOut(IndexOut):
    """The real-time index of an hour."""

    time: Annotated[AwareDatetime, Field(description="Beginning of the hour, in the station's zone")]


class DayIndexOut(IndexOut):
    """The index of a day in the station's zone."""

    date: date


class HourlyOut(BaseModel):
    """Hours without any valid mean are left out."""

    hours: list[HourIndexOut]
    sources: Annotated[dict[str, str], Field(description="Where the breakpoints of each edition are from")]


class DailyOut(BaseModel):
    """Days without any valid mean are left out."""

    days: list[DayIndexOut]
    sources: Annotated[dict[str, str], Field(description="Where the breakpoints of each edition are from")]
