"""Events of the water service."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime

from shared.events.model import Event

Stage = Literal["none", "blue", "yellow", "orange", "red"]


class StageChanged(Event):
    """A gauge passed into another flood stage, upwards or downwards. None for readings more than six hours old.

    `warninglevel` is that of the new stage; without one, the water has fallen below all thresholds.
    """

    type: ClassVar[str] = "water.stage.changed.v1"
    subject_template: ClassVar[str] = "gauges/{gauge}"

    gauge: str
    river: str | None
    before: Stage
    stage: Stage
    at: AwareDatetime
    water_level: float
    threshold: float | None
    """m, in the height system of the gauge: the reading, and the threshold of the new stage; null for `none`."""
    source: str
    """The rule that the thresholds follow."""
    lon: float | None
    lat: float | None
