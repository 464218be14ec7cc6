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


class SampleFailed(Event):
    """A laboratory found a sample above a limit. None for samples that were taken more than 30 days before they are recorded."""

    type: ClassVar[str] = "food.sample.failed.v1"
    subject_template: ClassVar[str] = "samples/{sample}"

    sample: str
    laboratory: str
    premises: str | None
    lot: str | None
    product: str
    """Code of the food category."""
    analyte: str
    value: float
    limit: float
    unit: str
    """UCUM code of `value` and `limit`."""
    source: str
    """Standard and clause that set the limit."""
    taken_at: AwareDatetime


class RecallOpened(Event):
    """Food is called back. None for recalls that are recorded more than 30 days late."""

    type: ClassVar[str] = "food.recall.opened.v1"
    subject_template: ClassVar[str] = "recalls/{recall}"

    recall: str
    grade: str | None
    """`I`, `II` or `III` (Measures for the Administration of Food Recall, article 13): start within 24, 48 or 72 h."""
    start_by: AwareDatetime | None
    lots: list[str]
    premises: int
    """How many known premises hold or sold what is called back."""
    opened_at: AwareDatetime
