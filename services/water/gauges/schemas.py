"""Gauges as they cross HTTP."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference

Metres = Annotated[float | None, Field(ge=-500, le=9000, description="m, in the height system of the gauge")]


class GaugeIn(PlacedRow):
    """A gauge with its thresholds. Its area is given, or found from its point."""

    code: Reference
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    river: PlainText | None = None
    blue: Metres = None
    yellow: Annotated[Metres, Field(description="警戒水位, the warning level, unless the province says otherwise")] = None
    orange: Annotated[Metres, Field(description="保证水位, the guaranteed level, unless the province says otherwise")] = None
    red: Metres = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.name_zh is None and self.name_en is None:
            raise ValueError("a gauge needs name_zh or name_en")
        given = [threshold for threshold in (self.blue, self.yellow, self.orange, self.red) if threshold is not None]
        if any(lower >= higher for lower, higher in pairwise(given)):
            raise ValueError("thresholds rise from blue over yellow and orange to red")
        return self
