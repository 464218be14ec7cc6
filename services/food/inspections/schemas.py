"""Inspections and findings as they cross HTTP."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.row_models import OffsetTime, PlainText, Reference, RowModel

InspectionKind = Literal[
    "routine_announced",
    "routine_unannounced",
    "reinspection",
    "complaint",
    "complaint_reinspection",
    "new_construction",
    "new_ownership",
    "structural",
    "illness_investigation",
    "special_event",
    "site_visit",
    "document_review",
    "assessment",
    "other",
]
Risk = Literal["low", "moderate", "high"]
Score = Annotated[float, Field(ge=0, le=100, description="Of 100")]


class InspectionIn(RowModel):
    """An inspection as its registry has it."""

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the inspection within the registry")]
    premises: Annotated[Reference, Field(description="Number of the premises within the registry")]
    inspected_at: Annotated[OffsetTime, Field(description="Beginning of the local day if only the day is known")]
    kind: InspectionKind
    score: Score | None = None


class FindingIn(RowModel):
    """A violation. It belongs to an inspection, or, if that is not known, to premises and a time."""

    registry: Annotated[Reference | None, Field(description="Who gave the numbers; the city itself if not given")] = None
    number: Annotated[Reference, Field(description="Number of the finding within the registry")]
    inspection: Annotated[Reference | None, Field(description="Number of the inspection")] = None
    premises: Annotated[Reference | None, Field(description="Number of the premises, if the inspection is not given")] = None
    found_at: Annotated[OffsetTime | None, Field(description="When it was found, if the inspection is not given")] = None
    code: Annotated[Reference, Field(description="What was violated, in the registry's own code")]
    risk: Risk
    description: PlainText | None = None

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        by_premises = self.premises is not None and self.found_at is not None
        if by_premises == (self.inspection is not None) or (self.premises is None) != (self.found_at is None):
            raise ValueError("give either the inspection, or premises and found_at")
        return self


class FindingReport(RowModel):
    """A violation in the report of an inspection."""

    code: Annotated[Reference, Field(description="What was violated, in the registry's own code")]
    risk: Risk
    description: PlainText | None = None


class InspectionReport(
    RowModel,
    json_schema_extra={
        "example": {
            "number": "2026-0815",
            "inspected_at": "2026-11-22T08:00:00+08:00",
            "kind": "routine_unannounced",
            "score": 58,
            "findings": [{"code": "103109", "risk": "high", "description": "生熟混放"}],
        }
    },
):
    """An inspection just made, with all that was found."""

    number: Annotated[Reference | None, Field(description="Number of the inspection within the registry; one is made if not given")] = None
    inspected_at: OffsetTime
    kind: InspectionKind
    score: Score | None = None
    findings: Annotated[list[FindingReport], Field(max_length=200)] = []
