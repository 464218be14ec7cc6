"""Accidents as they cross HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference

Story = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")]


class AccidentIn(PlacedRow):
    """A work accident, as a public register has it. Narratives name no person."""

    registry: Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the accident within the registry")]
    title: PlainText
    narrative: Story | None = None
    happened_on: Annotated[date | None, Field(description="Day of the accident, if it is known")] = None
    year: Annotated[int | None, Field(ge=1900, le=9999, description="Parts of the day where a register has them apart; all three or the day is not known")] = (
        None
    )
    month: Annotated[int | None, Field(ge=1, le=12)] = None
    day: Annotated[int | None, Field(ge=1, le=31)] = None
    industry: PlainText | None = None
    injury: PlainText | None = None
    occupation: PlainText | None = None
    cause: Annotated[str | None, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")] = None
    fall: Annotated[float | None, Field(ge=0, le=30_000, description="Height of the fall, in `fall_unit`")] = None
    fall_unit: Annotated[Literal["m", "[ft_i]"], Field(description="UCUM; kept in metres")] = "m"
    deaths: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    serious_injuries: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    loss_cny: Annotated[float | None, Field(ge=0, le=1e15, description="Direct economic loss in yuan")] = None

    @model_validator(mode="after")
    def _one_day(self) -> Self:
        self.on_day  # noqa: B018 - a day that no calendar has raises ValueError
        return self

    @property
    def on_day(self) -> date | None:
        """The day of the accident, if all of it is known."""
        if self.happened_on is not None or self.year is None or self.month is None or self.day is None:
            return self.happened_on
        return date(self.year, self.month, self.day)

    @property
    def fall_m(self) -> float | None:
        """Height of the fall in metres; a foot is 0.3048 m."""
        if self.fall is None or self.fall_unit == "m":
            return self.fall
        return round(self.fall * 0.3048, 4)
