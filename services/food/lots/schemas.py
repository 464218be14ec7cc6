"""Lots and movements as they cross HTTP."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from services.food.laboratories.schemas import Day
from services.food.lots.domain import HANDING_OVER, TRANSFORMATION
from shared.row_models import OffsetTime, PlainText, Reference, RowModel

QuantityUnit = Literal["g", "kg", "t", "jin", "mL", "L", "m3", "piece"]
MovementKind = Literal["ship", "receive", "input", "output", "sell", "dispose"]
Quantity = Annotated[float, Field(ge=1e-6, le=1e12)]
Category = Annotated[
    str, Field(max_length=60, pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", description="Food category, as docs/services/food.md lists them")
]


class LotIn(RowModel):
    """What was made in one go at one place."""

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the lot within the registry, such as a GTIN with its lot (LGTIN)")]
    product: Category
    name: PlainText | None = None
    premises: Annotated[Reference, Field(description="Number of the premises that made it")]
    made_on: Day | None = None
    expires_on: Day | None = None
    quantity: Quantity
    unit: QuantityUnit

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.made_on and self.expires_on and self.expires_on < self.made_on:
            raise ValueError("it cannot expire before it is made")
        return self


class MovementIn(RowModel):
    """What happened to a quantity of a lot at premises."""

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the row within the registry")]
    kind: MovementKind
    event: Annotated[Reference | None, Field(description="Number of the transformation, which its inputs and outputs share")] = None
    at: OffsetTime
    lot: Annotated[Reference, Field(description="Number of the lot")]
    premises: Annotated[Reference, Field(description="Number of the premises where it happened")]
    partner: Annotated[Reference | None, Field(description="Where it was shipped to, or received from")] = None
    quantity: Quantity
    unit: QuantityUnit

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.partner is None) == (self.kind in HANDING_OVER):
            raise ValueError("ship and receive name their partner, no other kind does")
        if (self.event is None) == (self.kind in TRANSFORMATION):
            raise ValueError("input and output name their event, no other kind does")
        if self.partner == self.premises:
            raise ValueError("the partner is other premises")
        return self
