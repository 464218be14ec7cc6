"""Laboratories as they cross HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from shared.places import PlacedRow
from shared.row_models import PlainText, Reference

LaboratoryKind = Literal["agency", "university", "enterprise", "third_party"]


def _as_day(value: object) -> object:
    if not isinstance(value, (str, date)):
        raise ValueError("a day is a text such as 2026-11-22")
    return value


Day = Annotated[date, BeforeValidator(_as_day), Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))]
"""A calendar day as text, YYYY-MM-DD."""


class LaboratoryIn(PlacedRow):
    """Who tests food, as its registry has it."""

    registry: Annotated[Reference | None, Field(description="Who gave the number; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the laboratory within the registry")]
    name: PlainText
    kind: LaboratoryKind
    cma: Annotated[Reference | None, Field(description="Number of its CMA certificate (检验检测机构资质认定)")] = None
    cma_until: Annotated[Day | None, Field(description="Last day of the CMA certificate")] = None
    cnas: Annotated[Reference | None, Field(description="Number of its CNAS accreditation (CNAS-CL01, ISO/IEC 17025)")] = None
    cnas_until: Annotated[Day | None, Field(description="Last day of the CNAS accreditation")] = None

    @model_validator(mode="after")
    def _accredited(self) -> Self:
        if (self.cma is None and self.cma_until) or (self.cnas is None and self.cnas_until):
            raise ValueError("a validity needs the number of its accreditation")
        return self
