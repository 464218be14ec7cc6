"""Sites as they cross HTTP."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from services.water.sites.domain import Kind
from shared.places import PlacedRow
from shared.row_models import EARLIEST, OffsetTime, PlainText, Reference


class SiteIn(PlacedRow):
    """A site. Its area is given, or found from its point."""

    code: Reference
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    kind: Kind = "other"
    capacity: Annotated[int | None, Field(ge=0, le=1_000_000)] = None
    inspected_at: OffsetTime | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.name_zh is None and self.name_en is None:
            raise ValueError("a site needs name_zh or name_en")
        if self.inspected_at is not None and not EARLIEST.year <= self.inspected_at.year <= 2200:
            raise ValueError("inspected_at lies between 1900 and 2200")
        return self
