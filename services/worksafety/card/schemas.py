"""The on-site card as it crosses HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field


class CardUnit(BaseModel):
    """A unit of a site with its grade as a major hazard source (1 gravest; null: none)."""

    unit: str
    name: str
    kind: str
    grade: int | None
    r: Annotated[float | None, Field(description="null without the clearance `important`, and where nothing is stored")]
    edition: str | None


class CardSubstance(BaseModel):
    """What a unit holds. Quantities are there only for the clearance `important`."""

    unit: str
    code: str
    cas: str | None
    un: str | None
    name_zh: str
    name_en: str | None
    classes: list[str]
    guide: Annotated[str | None, Field(description="Guide number of the Emergency Response Guidebook")]
    dense_gas: bool | None
    q_now: Annotated[float | None, Field(description="Tonnes there now")] = None
    q_design: Annotated[float | None, Field(description="Tonnes, design maximum")] = None
    counted_at: Annotated[datetime | None, Field(description="When q_now was counted")] = None
    first_aid: list[dict[str, str]]


class CardSite(BaseModel):
    """A site near the point."""

    site: str
    name: str
    enterprise: str | None
    enterprise_name: str | None
    exposed: Annotated[int | None, Field(description="Permanent population within 500 m of its boundary")]
    area: str
    lon: float
    lat: float
    distance_m: float
    bearing_deg: Annotated[float, Field(description="From the point asked about, clockwise from north")]
    units: list[CardUnit]
    substances: list[CardSubstance]


class CardRelease(BaseModel):
    """An open release near the point, with the newest outline."""

    release: str
    revision: int
    site: str | None
    substance: str
    un: str | None
    name_zh: str
    name_en: str
    rate_kg_s: float | None
    amount_kg: float | None
    began_at: datetime
    lon: float
    lat: float
    distance_m: float
    bearing_deg: float
    outline: dict[str, Any] | None


class Card(BaseModel):
    """What is stored around a point, what escapes there, and what is not known."""

    lon: float
    lat: float
    radius_m: float
    as_of: datetime
    sites: list[CardSite]
    releases: list[CardRelease]
    missing: Annotated[list[dict[str, str]], Field(description="What the card cannot say, zh and en")]
    sources: dict[str, str]
