"""Samples and tests as they cross HTTP."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from services.food.laboratories.schemas import Day
from services.food.lots.schemas import Category
from shared.places import PlacedRow
from shared.row_models import OffsetTime, PlainText, Reference, RowModel

Decimals = Annotated[str, Field(max_length=40, pattern=r"^\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?$")]
"""A number as text, so that it stays exact."""
Analyte = Annotated[str, Field(max_length=60, pattern=r"^[a-z][a-z0-9_]*$", description="Code, such as lead or aflatoxin_b1")]


class SampleIn(PlacedRow):
    """Food taken for testing. Its place is that of its premises if these are given."""

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the sample within the registry")]
    product: Category
    name: PlainText | None = None
    premises: Annotated[Reference | None, Field(description="Number of the premises where it was taken")] = None
    lot: Annotated[Reference | None, Field(description="Number of the lot it was taken from")] = None
    programme: Annotated[PlainText | None, Field(description="By which programme it was taken")] = None
    taken_at: OffsetTime
    made_on: Annotated[Day | None, Field(description="When the food was made: the standards of that day are meant; else those of the sampling")] = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.premises is None:
            return PlacedRow._somewhere(self)  # type: ignore[operator,no-any-return]  # a plain method once the class is made
        if self.area is not None or self.within is not None or self.lon is not None or self.lat is not None:
            raise ValueError("its place is that of its premises; give these or a place of its own")
        return self


class TestIn(RowModel):
    """What a laboratory found of one analyte in a sample."""

    __test__ = False

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the test within the registry")]
    sample: Annotated[Reference, Field(description="Number of the sample")]
    laboratory: Annotated[Reference, Field(description="Number of the laboratory")]
    analyte: Analyte
    method: Annotated[PlainText | None, Field(description="Standard of the method, such as GB 5009.12")] = None
    result: Annotated[str, Field(min_length=1, max_length=500, description="0.12, <0.05, <LOD, 未检出, present; for several sample units 10;20;<10;150;30")]
    unit: Annotated[str, Field(min_length=1, max_length=20, description="mg/kg, ug/kg, g/100 g, mg/L, CFU/g, MPN/100 mL, /25 g …")]
    detection_limit: Annotated[Decimals | None, Field(description="In the same unit")] = None
    uncertainty: Annotated[Decimals | None, Field(description="Expanded uncertainty (k = 2), in the same unit")] = None
    tested_at: OffsetTime
    retest_of: Annotated[Reference | None, Field(description="Number of the test that this one takes the place of (复检)")] = None
