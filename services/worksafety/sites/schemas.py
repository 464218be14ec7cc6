"""Enterprises and their sites as they cross HTTP."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference

Registry = Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")]


class EnterpriseIn(PlacedRow):
    """An enterprise, as its registry has it. No person's name."""

    registry: Registry = None
    number: Annotated[Reference, Field(description="Unified social credit code, or the number within the registry")]
    name: PlainText
    industry: Annotated[PlainText | None, Field(description="Code by GB/T 4754 or in the registry's own classification")] = None
    address: PlainText | None = None


class SiteIn(PlacedRow):
    """A site of an enterprise, at a point."""

    registry: Registry = None
    number: Annotated[Reference, Field(description="Number of the site within the registry")]
    enterprise: Annotated[Reference | None, Field(description="Number of the enterprise within the registry")] = None
    name: PlainText
    address: PlainText | None = None
    exposed: Annotated[
        int | None, Field(ge=0, le=100_000_000, description="Permanent population within 500 m of the boundary; unknown counts as 100 and more (alpha 2.0)")
    ] = None

    @model_validator(mode="after")
    def _at_a_point(self) -> Self:
        if self.lon is None:
            raise ValueError("a site lies at a point: give lon, lat and crs")
        return self


class UnitOut(BaseModel):
    """A unit of a site, and its grade as a major hazard source."""

    id: str
    number: str
    name: str
    kind: str
    r: Annotated[float | None, Field(description="R of GB 18218-2018, 4.3; null where nothing is stored, and without the clearance `important`")]
    grade: Annotated[int | None, Field(description="1 (gravest) to 4; null: no major hazard source")]


class SiteOut(BaseModel):
    """A site with its units."""

    id: str
    registry: str
    number: str
    enterprise: str | None
    enterprise_name: str | None
    name: str
    address: str | None
    exposed: int | None
    area: str
    lon: float
    lat: float
    units: list[UnitOut]
