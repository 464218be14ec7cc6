"""Detectors, their series, and what they measure."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference, RowModel
from shared.series import Observed, Property, Timing
from shared.time_zones import ZoneName
from shared.vocabulary import Text

MEASURED = Observed(
    feature="detector",
    properties=(
        Property(code="speed", title=Text("平均速度", "Mean speed"), unit="km/h", minimum=0, maximum=300),
        Property(code="volume", title=Text("流量", "Volume"), unit="/h", minimum=0, maximum=30_000),
        Property(code="occupancy", title=Text("时间占有率", "Occupancy in time"), unit="%", minimum=0, maximum=100),
        Property(code="temperature", title=Text("气温", "Air temperature"), unit="Cel", minimum=-90, maximum=65),
        Property(code="rain", title=Text("降水量", "Precipitation of the interval"), unit="mm", minimum=0, maximum=500),
        Property(code="snow", title=Text("降雪量", "Snow of the interval"), unit="mm", minimum=0, maximum=500),
        Property(code="clouds", title=Text("云量", "Clouds"), unit="%", minimum=0, maximum=100),
    ),
)
"""Ranges hold what a detector can report. Weather is what publishers give beside the volume of a road."""


class DetectorIn(PlacedRow):
    """A detector on a road. Its area is given, or found from its point."""

    code: Reference
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    road: PlainText | None = None
    timezone: Annotated[ZoneName, Field(description="IANA zone in which it counts its days; the city's if not given")] | None = None


class AdjacencyIn(RowModel):
    """How near one detector is to another along the roads: a cell of the weighted adjacency matrix (Li et al., DCRNN, ICLR 2018).

    No cell, no relation: a weight of zero is not a row. Roads have directions, so the way back is a cell of its own.
    """

    from_detector: Reference
    to_detector: Reference
    weight: Annotated[
        float, Field(gt=0, le=1, description="exp(-d²/σ²) of the distance d along the roads, left out where it is small; 1 of a detector to itself")
    ]


class SeriesIn(RowModel):
    """What a detector measures, and what the times of its values mean. It cannot be changed later: the values would come to mean something else."""

    detector: Reference
    property: Reference
    timing: Annotated[Timing, Field(description="Whether the time of a value is an instant, or the beginning or end of its interval")]
    interval_s: Annotated[int, Field(ge=1, le=31 * 86_400, description="Length of the interval in seconds; needed for begin and end")] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.timing is not Timing.INSTANT and self.interval_s is None:
            raise ValueError("timing begin or end needs interval_s")
        return self
