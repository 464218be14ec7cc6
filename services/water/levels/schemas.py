"""What gauges measure, and how a stage is told."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from services.water.levels.domain import Stage
from shared.series import Observed, Property
from shared.vocabulary import Text

WATER = Observed(
    feature="gauge",
    properties=(
        Property(code="water_level", title=Text("水位", "Water level"), unit="m", minimum=-500, maximum=9000, definition="GB/T 50138-2010"),
        Property(code="discharge", title=Text("流量", "Discharge"), unit="m3/s", minimum=-100_000, maximum=1_000_000, definition="GB 50179-2015"),
        Property(code="rain", title=Text("降水量", "Precipitation of the hour"), unit="mm", minimum=0, maximum=500, definition="SL 21-2015"),
    ),
)
"""Standards of observation from memory, to be verified. Tidal rivers flow backwards: discharge may be negative."""


class StageOut(BaseModel):
    """A gauge's present stage, and the reading with which it began; nulls before the first."""

    code: str
    river: str | None
    stage: Stage | None
    since: datetime | None
    water_level: float | None
    """m"""
