"""Areas as they cross HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from shared.row_models import AreaCode, PlainText, RowModel
from shared.vocabulary import AreaLevel


class AreaIn(RowModel):
    """An area as a loader states it. What is not stated stays as it is recorded, or follows from the code."""

    code: AreaCode
    level: Annotated[AreaLevel | None, Field(description="By default the length of a GB code tells: 2, 4, 6, 9, 12 digits")] = None
    parent: Annotated[AreaCode | None, Field(description="By default the GB code one level up; null for a root")] = None
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    kind: Literal["administrative", "functional", "neighbourhood"] = "administrative"
    valid_from: date | None = None
    valid_to: Annotated[date | None, Field(description="First day on which the code no longer holds")] = None
    geometry: Annotated[dict[str, Any] | None, Field(description="GeoJSON Polygon or MultiPolygon, WGS 84")] = None


class AreaOut(BaseModel):
    """An area as everybody may read it, with the codes of the areas that hold it."""

    code: str
    level: str
    parent: str | None
    name_zh: str | None
    name_en: str | None
    kind: str
    valid_from: date | None
    valid_to: date | None
    bbox: Annotated[list[float] | None, Field(description="West, south, east, north")]
    geometry: Annotated[dict[str, Any] | None, Field(description="GeoJSON; only if asked for by geometry=true")] = None
    nation: str | None
    province: str | None
    city: str | None
    district: str | None
    town: str | None
    community: str | None


class AreaPage(BaseModel):
    """Areas in the order of their codes."""

    version: Annotated[str, Field(description="Version of the whole table; also the ETag")]
    since: Annotated[str | None, Field(description="The version after which these areas changed; null if all areas are meant")]
    areas: list[AreaOut]
    next: Annotated[str | None, Field(description="Code after which the next page begins; null at the end")]


class AreasTaken(BaseModel):
    """What became of a batch of areas."""

    taken: int
    corrected: int
    duplicates: int
    rejected: int
    errors: list[dict[str, Any]]
    unlisted_errors: int
    repaired: Annotated[list[str], Field(description="Codes of areas whose polygon crossed itself and was repaired without loss")]
