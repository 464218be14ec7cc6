"""Outlines as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field


class OutlineOut(BaseModel):
    """Where a release endangers people, by which method, with which wind."""

    release: str
    revision: Annotated[int, Field(description="0 if the release was over before any outline was made")]
    substance: Annotated[str | None, Field(description="CAS registry number")]
    un: str | None
    name_zh: str | None
    name_en: str | None
    method: str | None
    source: str | None
    valid: Annotated[bool | None, Field(description="Whether the method holds for this substance and amount")]
    isolation_m: float | None
    protective_m: float | None
    wind_from_deg: Annotated[float | None, Field(description="null: unknown or calm; then the outline reaches in all directions")]
    wind_speed_m_s: float | None
    wind_station: str | None
    wind_at: datetime | None
    stability: Annotated[str | None, Field(description="Pasquill class")]
    notes: Annotated[list[dict[str, str]] | None, Field(description="What was assumed and left out, zh and en")]
    geometry: dict[str, Any] | None
    computed_at: datetime | None
    lifted_at: datetime | None
    area: str | None
    lon: float | None
    lat: float | None


class Outlines(BaseModel):
    """Outlines, newest first."""

    outlines: list[OutlineOut]
