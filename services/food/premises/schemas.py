"""Premises as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference

PremisesKind = Literal["catering", "retail", "production", "canteen", "market", "storage", "other"]


class PremisesIn(PlacedRow):
    """A place where food is made, stored, served or sold, as its registry has it. No owner's name: that is personal."""

    registry: Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the licence or business within the registry")]
    name: PlainText
    kind: PremisesKind | None = None
    address: PlainText | None = None
    postal_code: Annotated[str | None, Field(max_length=16, pattern=r"^[A-Za-z0-9 -]+$", description="As the registry has it, right or wrong")] = None


class FindingOut(BaseModel):
    """A violation."""

    id: str
    code: str
    risk: str
    description: str | None
    found_at: datetime


class InspectionOut(BaseModel):
    """An inspection with what was found."""

    id: str
    premises: str
    inspected_at: datetime
    kind: str
    score: Annotated[float | None, Field(description="Of 100; null if none was given")]
    failed: bool
    edition: Annotated[str | None, Field(description="The rule that judged it")]
    findings: list[FindingOut]


class PremisesOut(BaseModel):
    """Premises with the latest inspection."""

    id: str
    registry: str
    number: str
    name: str
    kind: str | None
    address: str | None
    postal_code: str | None
    area: str
    lon: float | None
    lat: float | None
    latest_inspection: InspectionOut | None
