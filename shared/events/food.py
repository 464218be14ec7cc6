"""Events of the food service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from shared.events.model import Event


class InspectionFailed(Event):
    """An inspection failed by the rule of its register. None for inspections that are recorded more than a week late."""

    type: ClassVar[str] = "food.inspection.failed.v1"
    subject_template: ClassVar[str] = "premises/{premises}"

    premises: str
    inspection: str
    inspected_at: AwareDatetime
    kind: str
    score: float | None
    """Of 100."""
    high_risks: int
    """Number of high-risk findings."""
    edition: str
    """The rule that judged it."""
