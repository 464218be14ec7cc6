"""Events of the environment service."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime

from shared.events.model import Event


class ObservationExceeded(Event):
    """The mean of an hour rose above a limit; the hour before was not above. One event for a run of hours, none for hours over a week old."""

    type: ClassVar[str] = "env.observation.exceeded.v1"
    subject_template: ClassVar[str] = "stations/{station}"

    station: str
    property: str
    hour: AwareDatetime
    """Beginning of the hour."""
    mean: float
    limit: float
    unit: str
    """UCUM code of `mean` and `limit`."""
    source: str
    """Standard and table that set the limit."""
