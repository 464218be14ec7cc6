"""Traces as they cross HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

Asked = Literal["back", "forward", "both"]
Upstream = Literal["lot", "premises"]
EXPLANATIONS = {
    "loop": ("批次成为自身的原料；数量按循环求解", "A lot is part of itself; what goes round is counted each time it passes"),
    "no-inputs": ("加工只有产出，没有投入", "A transformation has outputs and no inputs"),
    "no-outputs": ("加工只有投入，没有产出", "A transformation has inputs and no outputs"),
    "outputs-in-different-units": ("同一加工的产出单位不同，无法分摊", "The outputs of a transformation are in different units and cannot be shared out"),
    "more-out-than-in": ("产出多于投入", "More came out than went in"),
    "received-not-shipped": ("有收货，无发货", "Received, and never shipped by the sender"),
    "shipped-not-received": ("有发货，无收货", "Shipped, and never received"),
    "shipped-and-received-differ": ("发货与收货数量不符", "Shipped and received quantities differ"),
    "more-left-than-came": ("流出多于流入或生产", "More left the premises than was made there or came"),
}
"""What each fault means, zh and en."""


class PlaceOut(BaseModel):
    """Premises that the trace touches."""

    id: str
    name: str
    kind: str | None
    area: str
    lon: float | None
    lat: float | None


class LotOut(BaseModel):
    """A lot within reach."""

    id: str
    product: str
    name: str | None
    premises: Annotated[str | None, Field(description="Who made it; null if that lies beyond the caller's areas")]
    made_on: date | None
    expires_on: date | None
    quantity: float
    unit: str
    direction: Literal["start", "back", "forward"]
    depth: Annotated[int, Field(description="Transformations between it and the lot asked for")]
    amount: Annotated[
        float | None, Field(description="forward: how much of the lot asked for is in it, in that lot's unit; back: how much of it is in the lot asked for")
    ]
    end: Annotated[bool, Field(description="Nothing lies further on in this direction: an origin, or a final product")]


class EdgeOut(BaseModel):
    """What of one lot went into another."""

    source: Annotated[str, Field(serialization_alias="from")]
    into: Annotated[str, Field(serialization_alias="to")]
    event: str
    premises: str | None
    amount: Annotated[float | None, Field(description="Of the source, in its unit; null if it cannot be known")]
    at: datetime


class MoveOut(BaseModel):
    """A lot on its way, or at its end: shipped, received, sold, disposed of."""

    kind: Literal["ship", "receive", "sell", "dispose"]
    lot: str
    premises: str
    partner: str | None
    quantity: Annotated[float, Field(description="In the lot's unit")]
    amount: Annotated[float | None, Field(description="How much of the lot asked for is in it, in that lot's unit; forward only")]
    first_at: datetime
    last_at: datetime


class FaultOut(BaseModel):
    """A link that is missing, or quantities that do not balance."""

    code: Literal[tuple(EXPLANATIONS)]  # type: ignore[valid-type]  # the codes are these
    lot: str | None
    premises: str | None
    event: str | None
    expected: float | None
    found: float | None


class Beyond(BaseModel):
    """What lies outside the caller's areas: counted, not told."""

    lots: int
    premises: int


class TraceOut(BaseModel):
    """Where a lot came from and where it went."""

    lot: str
    unit: str
    direction: Asked
    max_depth: int
    known_at: datetime | None
    truncated: Annotated[bool, Field(description="There is more beyond max_depth or limit")]
    lots: list[LotOut]
    edges: list[EdgeOut]
    movements: list[MoveOut]
    premises: list[PlaceOut]
    faults: list[FaultOut]
    unlisted_faults: Annotated[int, Field(description="How many more there are than `faults` lists")]
    explanations: Annotated[dict[str, dict[str, str]], Field(description="What the faults mean, zh and en")]
    beyond_scope: Beyond


class PatternOut(BaseModel):
    """Something upstream that failed samples have in common."""

    upstream: Annotated[str, Field(description="Lot or premises")]
    name: str | None
    area: str | None
    samples: Annotated[int, Field(description="Samples with this upstream")]
    failed: int
    laboratories: Annotated[int, Field(description="Laboratories that found a failure")]
    premises: Annotated[int, Field(description="Premises where failed samples were taken")]
    lift: Annotated[float, Field(description="Rate of failure with this upstream over the rate of all samples that can be traced")]


class PatternsOut(BaseModel):
    """Patterns that no single laboratory shows."""

    analyte: str
    since: datetime
    until: datetime
    by: Upstream
    samples: int
    failed: int
    patterns: list[PatternOut]
