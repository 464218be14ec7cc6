"""How the demo's crews go about an incident: what a unit reports next, and when. Durations are assumptions of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ops.demo.rhythms import uniform

TURNOUT_S = 45, 90
HANDLING_S = 15, 50
"""Until units are asked for."""
HOSPITAL_S, HOME_S = (400, 900), (240, 600)
ON_SCENE_S = {"medical": (300, 600), "alarm": (240, 600), "traffic_collision": (480, 1200), "structure_fire": (900, 2400), "elevator_rescue": (420, 900)}
OTHERS_ON_SCENE_S = 360, 900
USUAL_TRAVEL_S = 300.0
AMBULANCES = ("medic", "ambulance")


@dataclass(frozen=True, slots=True)
class Unit:
    """What the fire service says of a unit that is on its way or at work."""

    code: str
    kind: str
    state: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """The incident that a unit is assigned to, as far as its crew cares."""

    kind: str
    travel_s: float | None
    """Expected when it was sent."""
    goes_on: bool = False
    """Whether something still escapes: until it ends the crew stays."""


def wait_s(key: str, between: tuple[float, float]) -> float:
    low, high = between
    return low + (high - low) * uniform(key)


def next_report(unit: Unit, task: Task | None, speed: float) -> tuple[str, datetime] | None:
    """The state that a unit reports next and the moment at which it does; None while it stays."""
    key = f"{unit.code}/{unit.since.isoformat()}"
    if unit.state == "dispatched":
        return "en_route", _after(unit, wait_s(key, TURNOUT_S), speed)
    if unit.state == "en_route":
        expected = USUAL_TRAVEL_S if task is None or task.travel_s is None else task.travel_s
        return "on_scene", _after(unit, max(20.0, expected * wait_s(key, (0.85, 1.25))), speed)
    if unit.state == "on_scene":
        if task is not None and task.goes_on:
            return None
        transports = task is not None and task.kind in ("medical", "traffic_collision") and unit.kind in AMBULANCES
        lasts = ON_SCENE_S.get(task.kind, OTHERS_ON_SCENE_S) if task is not None else OTHERS_ON_SCENE_S
        return "transporting" if transports else "returning", _after(unit, wait_s(key, lasts), speed)
    if unit.state == "transporting":
        return "returning", _after(unit, wait_s(key, HOSPITAL_S), speed)
    if unit.state in ("returning", "available_on_radio"):
        return "in_quarters", _after(unit, wait_s(key, HOME_S), speed)
    return None


def _after(unit: Unit, seconds: float, speed: float) -> datetime:
    return unit.since + timedelta(seconds=seconds / speed)
