"""Releases as they cross HTTP: reported, revised, concluded, shown with their timeline."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from services.worksafety.inventories.schemas import Cas, Un
from shared.coordinates import Crs
from shared.row_models import AreaCode, OffsetTime, PlainText, Reference, RowModel

Rate = Annotated[float, Field(gt=0, le=1e5, description="kg/s that escape; not given while unknown")]
Amount = Annotated[float, Field(gt=0, le=1e10, description="kg that may escape at all; not given while unknown")]
SiteId = Annotated[str, Field(min_length=3, max_length=201, pattern=r"^[A-Za-z0-9._~@+-]+:[A-Za-z0-9._~@+-]+$", description="`<registry>:<number>`")]


class ReleaseReport(RowModel, json_schema_extra={"example": {"site": "430300:S1", "unit": "U1", "cas": "7782-50-5", "rate_kg_s": 0.8}}):
    """A substance is escaping: at a site, or at a point that is none."""

    site: SiteId | None = None
    unit: Annotated[Reference | None, Field(description="Number of the unit within the site")] = None
    lon: Annotated[float | None, Field(ge=-180, le=180, description="Degrees in the system that `crs` names; only without a site")] = None
    lat: Annotated[float | None, Field(ge=-90, le=90, description="Degrees in the system that `crs` names; only without a site")] = None
    crs: Annotated[Crs | None, Field(description="System of lon and lat")] = None
    area: Annotated[AreaCode | None, Field(description="Area of the point, if no polygon holds it")] = None
    cas: Cas | None = None
    un: Un | None = None
    rate_kg_s: Rate | None = None
    amount_kg: Amount | None = None
    began_at: Annotated[OffsetTime | None, Field(description="Now if not given")] = None
    note: PlainText | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        point = (self.lon, self.lat, self.crs)
        if self.site is None and None in point:
            raise ValueError("give the site, or lon, lat and crs of the point where it escapes")
        if self.site is not None and (point != (None, None, None) or self.area is not None):
            raise ValueError("a release at a site lies where the site lies: give no other place")
        if self.unit is not None and self.site is None:
            raise ValueError("a unit needs its site")
        if self.cas is None and self.un is None:
            raise ValueError("name the substance by cas or un")
        return self


class ReleaseRevision(RowModel, json_schema_extra={"example": {"rate_kg_s": 2.5}}):
    """Other figures; what is not given stays as it is, null says that it is not known after all."""

    rate_kg_s: Rate | None = None
    amount_kg: Amount | None = None
    note: PlainText | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give rate_kg_s, amount_kg or note")
        return self


class Conclusion(RowModel, json_schema_extra={"example": {"ended_at": "2026-11-22T09:00:00+08:00"}}):
    """Nothing escapes any more."""

    ended_at: Annotated[OffsetTime | None, Field(description="Now if not given")] = None


class OutlineOut(BaseModel):
    """Where the release endangers people, as the environment service last told."""

    revision: int
    method: str | None
    source: str | None
    valid: bool | None
    isolation_m: float | None
    protective_m: float | None
    wind_from_deg: float | None
    wind_speed_m_s: float | None
    geometry: dict[str, Any] | None
    computed_at: datetime | None
    lifted_at: datetime | None


class RevisionOut(BaseModel):
    """What was known of a release from a moment on."""

    revision: int
    recorded_at: datetime
    recorded_by: str
    rate_kg_s: float | None
    amount_kg: float | None
    ended_at: datetime | None
    note: str | None


class ReleaseOut(BaseModel):
    """A release, what is known of it, and how that came."""

    id: str
    regarding: str
    revision: int
    site: str | None
    unit: str | None
    substance: Annotated[str, Field(description="CAS registry number")]
    un: str | None
    name_zh: str
    name_en: str
    rate_kg_s: float | None
    amount_kg: float | None
    began_at: datetime
    ended_at: datetime | None
    note: str | None
    area: str
    lon: float
    lat: float
    outline: Annotated[OutlineOut | None, Field(description="null: none has arrived yet")]
    timeline: list[RevisionOut]
