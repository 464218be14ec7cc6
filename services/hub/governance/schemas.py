"""What crosses HTTP about quality: what a source says of its own rows."""

from __future__ import annotations

from datetime import UTC, date
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from shared.datasets.quality_told import Counted, Quality

Rows = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]


class FieldQuality(BaseModel):
    """One field of the rows looked at."""

    filled: Share
    invalid: Rows = 0


class Timeliness(BaseModel):
    """How the promise is kept."""

    newest: AwareDatetime | None = None
    on_time: Share | None = None
    recent: Rows = 0


class Period(BaseModel):
    """From when to when the rows tell of."""

    start: AwareDatetime | date
    end: AwareDatetime | date


class SourceQuality(BaseModel):
    """`GET /collections/{id}/quality` as a source answers it; what else it says follows from these."""

    computed_at: AwareDatetime
    rows: Rows = 0
    looked_at: Rows = 0
    fields: Annotated[dict[str, FieldQuality], Field(max_length=501)] = {}
    timeliness: Timeliness | None = None
    period: Period | None = None
    suppressed: bool = False

    def quality(self) -> Quality:
        """The counts behind it."""
        timeliness = self.timeliness or Timeliness()
        return Quality(
            computed_at=self.computed_at.astimezone(UTC),
            rows=max(self.rows, self.looked_at),
            looked_at=self.looked_at,
            fields={name: Counted(field.filled * self.looked_at, min(field.invalid, self.looked_at)) for name, field in self.fields.items()},
            newest=timeliness.newest,
            period=(self.period.start, self.period.end) if self.period else None,
            recent=timeliness.recent,
            on_time=round(timeliness.recent * (timeliness.on_time or 0)),
        )
