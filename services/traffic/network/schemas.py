"""What crosses HTTP about the road network."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.row_models import OffsetTime


class ImportOut(BaseModel):
    """What an import found, and that its network is in force."""

    model_config = ConfigDict(frozen=True)

    version: str
    replaced: Annotated[bool, Field(description="False if this very network was in force already")]
    nodes: int
    arcs: int
    reachable: Annotated[int, Field(description="Nodes where a vehicle may begin or end: not on a motorway, and in the largest part that hangs together")]
    length_km: Annotated[float, Field(description="Of all arcs, each direction counted")]
    rows: Annotated[dict[str, int], Field(description="What the file has: ways, edges, or nodes and arcs; and how many of these were taken")]
    left_out: Annotated[dict[str, int], Field(description="Ways that cars do not drive on, by reason")]
    not_modelled: Annotated[list[str], Field(description="What the file may say and routes do not heed")]


class ClosureNow(BaseModel):
    """A closure that is not over."""

    model_config = ConfigDict(frozen=True)

    closure: str
    revision: int
    reason: str
    begins_at: OffsetTime
    ends_at: OffsetTime | None
    geometry: dict[str, Any]


class StateOut(BaseModel):
    """What changes on the network in force."""

    model_config = ConfigDict(frozen=True)

    version: str | None
    closures: list[ClosureNow]
    speeds: Annotated[int, Field(description="Detectors whose speeds hold now")]
    as_of: OffsetTime
