"""Flood stages of a gauge: four warning levels by thresholds of its water level, with hysteresis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Stage = Literal["none", "blue", "yellow", "orange", "red"]
STAGES: tuple[Stage, ...] = ("none", "blue", "yellow", "orange", "red")
SOURCE = "《水情预警发布管理办法（试行）》（水利部，2013），洪水预警信号（条文凭记忆，待核）"
"""Ministry of Water Resources, Measures for Hydrological Warnings (trial, 2013), flood signals; from memory, to be verified: blue near the warning
level (警戒水位), yellow from it, orange from the guaranteed level (保证水位), red from the highest ever measured. A province may set others, so each
gauge has its own four. Terms and units: GB/T 22482-2008, GB/T 50095-2014 (from memory, to be verified)."""
MARGIN_M = 0.1
"""A stage ends when the water is this far below its threshold. Engineering practice, no standard: waves must not make a run of events."""
LIVE_FOR = timedelta(hours=6)
"""Older readings are history: they change no stage."""


@dataclass(frozen=True, slots=True)
class Change:
    """A reading, in m, with which a gauge passed into another stage."""

    before: Stage
    stage: Stage
    at: datetime
    water_level: float


def stage_of(water_level: float, thresholds: Mapping[Stage, float], before: Stage = "none") -> Stage:
    """The stage at a water level in m: rises as soon as a threshold is reached, falls `MARGIN_M` below it. Stages without a threshold do not occur."""
    reached: Stage = "none"
    for stage in (each for each in STAGES[1:] if each in thresholds):
        above = round(water_level - thresholds[stage], 6)
        held = STAGES.index(stage) <= STAGES.index(before)
        if above >= 0 or (held and above > -MARGIN_M):
            reached = stage
    return reached


def changes(readings: Iterable[tuple[datetime, float]], thresholds: Mapping[Stage, float], before: Stage) -> Iterator[Change]:
    """Every change of stage along readings in order of time."""
    for at, water_level in readings:
        stage = stage_of(water_level, thresholds, before)
        if stage != before:
            yield Change(before, stage, at, water_level)
            before = stage
