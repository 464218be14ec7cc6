"""Response times: what is measured between which moments, and the standards that it is held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Literal

KINDS = (
    "structure_fire",
    "vehicle_fire",
    "outside_fire",
    "alarm",
    "smoke_investigation",
    "odor_investigation",
    "gas_leak",
    "hazmat",
    "fuel_spill",
    "electrical_hazard",
    "explosion",
    "medical",
    "traffic_collision",
    "rescue",
    "elevator_rescue",
    "water_rescue",
    "industrial_accident",
    "public_assistance",
    "police_assistance",
    "other",
)
PRIORITIES = ("emergency", "routine")
"""`emergency`: with lights and siren."""
UNIT_KINDS = ("engine", "ladder", "medic", "ambulance", "chief", "rescue_captain", "rescue_squad", "support", "airport", "investigation", "other")
"""`medic`: the service's own ambulance; `ambulance`: another operator's."""
GOOD, SUSPECT = 1, 3
"""Quality flags as for observations (IOC Manuals and Guides 54, volume 3): suspect times are out of order."""
LIVE_FOR = timedelta(hours=6)
"""A call that is recorded later than this after it came in is history, not news: no event tells of it."""


@dataclass(frozen=True, slots=True)
class UnitTimes:
    """The moments of one unit's response, in the order in which they must come."""

    received_at: datetime
    """When the call came in."""
    dispatched_at: datetime
    en_route_at: datetime | None = None
    on_scene_at: datetime | None = None
    transport_at: datetime | None = None
    hospital_at: datetime | None = None
    available_at: datetime | None = None

    def in_order(self) -> bool:
        """Whether no known moment comes before one that must precede it."""
        known = [at for at in (getattr(self, name) for name in self.__slots__) if at is not None]
        return all(earlier <= later for earlier, later in combinations(known, 2))


@dataclass(frozen=True, slots=True)
class UnitDurations:
    """Seconds; None where a moment is unknown or the two are out of order."""

    turnout_s: float | None
    """Dispatched to en route."""
    travel_s: float | None
    """En route to on scene."""
    response_s: float | None
    """Call received to this unit on scene."""
    quality: int


@dataclass(frozen=True, slots=True)
class CallTimes:
    """What a call's responses add up to."""

    units: int
    dispatched_at: datetime | None
    """First unit dispatched."""
    on_scene_at: datetime | None
    """First unit on scene; arrivals before the call came in do not count."""
    closed_at: datetime | None
    """Last unit available again; None as long as one is not."""
    handling_s: float | None
    """Call received to first unit dispatched: processing, NFPA 1225 (2022)."""
    response_s: float | None
    """Call received to first unit on scene."""
    quality: int


@dataclass(frozen=True, slots=True)
class Response:
    """What a call's sum needs of a unit's response."""

    dispatched_at: datetime
    on_scene_at: datetime | None
    available_at: datetime | None
    quality: int


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from start to end; None if either is unknown or the end comes first."""
    if start is None or end is None or end < start:
        return None
    return (end - start).total_seconds()


def durations(times: UnitTimes) -> UnitDurations:
    """How long one unit took, and whether its times can be trusted."""
    return UnitDurations(
        turnout_s=seconds(times.dispatched_at, times.en_route_at),
        travel_s=seconds(times.en_route_at, times.on_scene_at),
        response_s=seconds(times.received_at, times.on_scene_at),
        quality=GOOD if times.in_order() else SUSPECT,
    )


def summed_up(received_at: datetime, entered_at: datetime | None, responses: Iterable[Response]) -> CallTimes:
    """What the responses to a call add up to."""
    all_of = list(responses)
    dispatched_at = min((one.dispatched_at for one in all_of), default=None)
    on_scene_at = min((one.on_scene_at for one in all_of if one.on_scene_at and one.on_scene_at >= received_at), default=None)
    ends = [one.available_at for one in all_of]
    entered_early = entered_at is not None and entered_at < received_at
    return CallTimes(
        units=len(all_of),
        dispatched_at=dispatched_at,
        on_scene_at=on_scene_at,
        closed_at=max((end for end in ends if end), default=None) if all(ends) else None,
        handling_s=seconds(received_at, dispatched_at),
        response_s=seconds(received_at, on_scene_at),
        quality=max((one.quality for one in all_of), default=GOOD) if not entered_early else SUSPECT,
    )


def is_news(received_at: datetime, now: datetime) -> bool:
    """Whether a call recorded now should still be told as an event."""
    return now - received_at <= LIVE_FOR


@dataclass(frozen=True, slots=True)
class Standard:
    """A time that responses are held against."""

    code: str
    source: str
    measure: Literal["handling", "turnout", "first_engine_travel", "first_engine_from_dispatch", "assembly_travel"]
    """`assembly_travel`: travel of the last unit of an incident's first assignment, once all of it is on scene."""
    kinds: tuple[str, ...] | None
    """Kinds of calls it speaks of; None for all."""
    limit_s: float
    share: float | None
    """Share of responses that must keep the limit; None if the source states none."""


MEDICAL = ("medical",)
FIRES = ("structure_fire", "vehicle_fire", "outside_fire")
STANDARDS = (
    Standard("nfpa-1225-processing", "NFPA 1225 (2022): call processing", "handling", None, 60, 0.9),
    Standard("nfpa-1710-turnout-fire", "NFPA 1710 (2020), 4.1.2.1: turnout, fire", "turnout", FIRES, 80, 0.9),
    Standard("nfpa-1710-turnout-ems", "NFPA 1710 (2020), 4.1.2.1: turnout, emergency medical", "turnout", MEDICAL, 60, 0.9),
    Standard("nfpa-1710-first-engine", "NFPA 1710 (2020), 4.1.2.1: travel of the first engine to a fire", "first_engine_travel", FIRES, 240, 0.9),
    Standard("nfpa-1710-full-assignment", "NFPA 1710 (2020), 4.1.2.1: travel of the initial full alarm assignment", "assembly_travel", FIRES, 480, 0.9),
    Standard("jianbiao-152", "建标152：首车自接到出动指令起 5 分钟内到达", "first_engine_from_dispatch", FIRES, 300, None),
)
"""A table to be replaced when editions change; figures as in `docs`, and to be verified against the standards' own text where they decide anything."""


def is_met(standard: Standard, counted: int, within: int) -> bool | None:
    """Whether enough responses kept the limit; None if there were none, or no share is required."""
    if not counted or standard.share is None:
        return None
    return within >= standard.share * counted
