"""Dispatches and response plans as they cross HTTP."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from services.fire.calls.schemas import Kind, UnitKind
from services.fire.stations.schemas import Capability
from shared.row_models import PlainText, RowModel


class NeedIn(RowModel):
    """So many units of these kinds, all with a capability if one is named."""

    unit_kinds: Annotated[list[UnitKind], Field(min_length=1, max_length=11, description="Any of these will do")]
    count: Annotated[int, Field(ge=1, le=50)] = 1
    capability: Capability | None = None


class DispatchIn(RowModel, json_schema_extra={"example": {"needs": [{"unit_kinds": ["engine"], "count": 2}]}}):
    """What to send, if not what the plan says."""

    needs: Annotated[list[NeedIn] | None, Field(min_length=1, max_length=20, description="In all; units that are there already count")] = None


class PlanIn(RowModel, json_schema_extra={"example": {"needs": [{"unit_kinds": ["engine"], "count": 2}, {"unit_kinds": ["ladder"]}], "source": "our own"}}):
    """The city's plan for a kind of incident."""

    needs: Annotated[list[NeedIn], Field(max_length=20, description="None: the plan that comes with the service holds again")]
    source: Annotated[PlainText, Field(description="Who decided so: order, plan, edition")]


class PlanOut(BaseModel):
    """The plan that holds for a kind of incident."""

    incident_kind: Kind
    needs: list[NeedIn]
    source: str
