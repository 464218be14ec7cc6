"""What crosses HTTP about lookups."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field


class LookupOut(BaseModel):
    """A question that a service answers beyond its datasets."""

    id: str
    source: str
    path: Annotated[str, Field(description="Path at the service itself; the parameters are described in its own API")]
    title: dict[str, str]


class LookupAnswer(BaseModel):
    """The service's own answer, and how it was had."""

    answer: Any
    coverage: dict[str, Any]
