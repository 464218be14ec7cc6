"""Events of the work-safety service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from shared.events.model import Event
from shared.vocabulary import HazardGrade


class ReleaseReported(Event):
    """A substance is escaping at a site. `regarding` is `releases/<release>`; a later report with other figures is a new revision."""

    type: ClassVar[str] = "worksafety.release.reported.v1"
    subject_template: ClassVar[str] = "sites/{site}"

    release: str
    revision: int
    """1 for the first report."""
    site: str
    """`-` for a release that is at no recorded site."""
    substance: str
    """CAS registry number."""
    name_zh: str
    name_en: str
    un: str | None
    """UN number of four digits."""
    rate_kg_s: float | None
    """Mass flow; null while it is unknown."""
    amount_kg: float | None
    """All that may escape; null while it is unknown."""
    began_at: AwareDatetime
    lon: float
    lat: float
    """Degrees, WGS 84."""


class ReleaseConcluded(Event):
    """Nothing escapes any more."""

    type: ClassVar[str] = "worksafety.release.concluded.v1"
    subject_template: ClassVar[str] = "sites/{site}"

    release: str
    site: str
    ended_at: AwareDatetime


class GradeChanged(Event):
    """The grade of a major hazard source changed, because its inventory or the people around it did. R is not told: it gives quantities away."""

    type: ClassVar[str] = "worksafety.grade.changed.v1"
    subject_template: ClassVar[str] = "sites/{site}"

    site: str
    unit: str
    """The unit within the site that is graded by itself (GB 18218-2018, 3.2)."""
    grade: HazardGrade | None
    """null: no major hazard source (any more)."""
    before: HazardGrade | None
    edition: str


class ThresholdExceeded(Event):
    """A sensor at a site rose above a threshold; it was not above at the value before."""

    type: ClassVar[str] = "worksafety.threshold.exceeded.v1"
    subject_template: ClassVar[str] = "sensors/{sensor}"

    site: str
    sensor: str
    property: str
    at: AwareDatetime
    value: float
    threshold: float
    unit: str
    """UCUM code."""
    level: str
    """`alarm_low` or `alarm_high` (GB/T 50493-2019: first and second alarm)."""
