"""Units, substances and inventories as they cross HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from services.worksafety.inventories.domain import CLASSES, cas_holds
from shared.row_models import OffsetTime, PlainText, Reference, RowModel

Registry = Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")]


def _registered(value: str) -> str:
    if not cas_holds(value):
        raise ValueError("the last digit of this CAS number does not fit the others; look for a slip of the pen")
    return value


Cas = Annotated[str, Field(pattern=r"^[0-9]{2,7}-[0-9]{2}-[0-9]$", description="CAS registry number"), AfterValidator(_registered)]
Un = Annotated[str, Field(pattern=r"^[0-9]{4}$", description="UN number")]
Tonnes = Annotated[float, Field(ge=0, le=1e7, description="Tonnes")]


def _symbol(value: str) -> str:
    if value not in CLASSES:
        raise ValueError(f"a class is one of {', '.join(CLASSES)}")
    return value


ClassSymbol = Annotated[str, AfterValidator(_symbol)]


class UnitIn(RowModel):
    """A unit of a site that is graded by itself: a production unit or a storage unit, bounded by cut-off valves or a dike (GB 18218-2018, 3.5 to 3.7)."""

    registry: Registry = None
    site: Annotated[Reference, Field(description="Number of the site within the registry")]
    number: Annotated[Reference, Field(description="Number of the unit within the site")]
    name: PlainText
    kind: Literal["production", "storage"]


class SubstanceIn(RowModel):
    """A substance. What is not given comes from the built-in table by code or CAS number, else from its classes (table 2, table 4)."""

    code: Annotated[Reference, Field(description="`gb18218-12` is number 12 of table 1; any other code for what table 1 does not name")]
    cas: Cas | None = None
    un: Un | None = None
    name_zh: PlainText | None = None
    name_en: PlainText | None = None
    classes: Annotated[list[ClassSymbol] | None, Field(max_length=len(CLASSES), description="Symbols of GB 18218-2018, table 2")] = None
    critical_t: Annotated[float | None, Field(gt=0, le=1e6, description="Q in tonnes")] = None
    beta: Annotated[float | None, Field(gt=0, le=1000)] = None
    guide: Annotated[str | None, Field(pattern=r"^1[0-9]{2}P?$", description="Guide number of the Emergency Response Guidebook")] = None
    dense_gas: bool | None = None
    edition: PlainText | None = None
    source: Annotated[PlainText | None, Field(description="Where Q and beta stand, and how far they are verified")] = None


class InventoryIn(RowModel):
    """How much of a substance a unit holds."""

    registry: Registry = None
    site: Annotated[Reference, Field(description="Number of the site within the registry")]
    unit: Annotated[Reference, Field(description="Number of the unit within the site")]
    substance: Annotated[Reference, Field(description="Code, or a CAS number that means one substance only")]
    q_design: Annotated[Tonnes, Field(description="Design maximum, tonnes: what the grade rests on")]
    q_now: Annotated[Tonnes | None, Field(description="There now, tonnes: what the on-site card shows")] = None
    counted_at: Annotated[OffsetTime | None, Field(description="When q_now was counted")] = None


class StepOut(BaseModel):
    """What one substance adds to S and R."""

    substance: str
    cas: str | None
    name_zh: str
    name_en: str | None
    q_design: float
    critical: Annotated[float, Field(description="Q, tonnes")]
    beta: float
    quotient: Annotated[float, Field(description="q/Q")]
    contribution: Annotated[float, Field(description="beta q/Q")]
    edition: str
    source: str


class GradeOut(BaseModel):
    """The grade of a unit, and how it follows."""

    unit: str
    name: str
    identified: Annotated[bool, Field(description="S >= 1: a major hazard source")]
    s: float
    exposed: Annotated[int | None, Field(description="Permanent population within 500 m; null: not known, the greatest alpha assumed")]
    alpha: float
    r: float
    grade: int | None
    regulator: Annotated[str | None, Field(description="Level that answers for a source of this grade")]
    edition: str
    clauses: dict[str, str]
    recorded_at: Annotated[datetime | None, Field(description="Since when the grade stands")]
    steps: list[StepOut]
