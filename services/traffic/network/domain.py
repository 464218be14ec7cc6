"""What the tags of a way say about driving on it. OpenStreetMap wiki: Key:highway, Key:oneway, Key:maxspeed, Key:access."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CLASS_KMH: dict[str, float] = {
    "motorway": 100,
    "motorway_link": 60,
    "trunk": 80,
    "trunk_link": 50,
    "primary": 60,
    "primary_link": 40,
    "secondary": 50,
    "secondary_link": 40,
    "tertiary": 40,
    "tertiary_link": 30,
    "unclassified": 40,
    "residential": 30,
    "living_street": 10,
    "road": 30,
    "service": 20,
}
"""Classes that cars drive on, and the limit taken where a way states none, in km/h: assumptions of this project."""
OF_LIMIT = 0.8
"""A car on the free road averages this part of the limit, junctions included: an assumption of this project."""
SIREN_PART = 0.75
"""Seconds with lights and siren in those of a car, where a source gives none. The calibrated networks of JEMSS have 0.75 (Manhattan) and 0.69 (Edmonton)."""
MPH = 1.609344
_NOT_FOR_CARS = {"no", "private", "agricultural", "forestry", "military", "bus", "psv"}
_SIDE_WAYS = {"parking_aisle", "drive-through", "driveway"}
_SPEED = re.compile(r"^(\d{1,3}(?:\.\d+)?) ?(km/h|kmh|kph|mph)?$", re.ASCII)
_BY_PLACE = {"urban": 50.0, "rural": 80.0, "motorway": 110.0, "living_street": 10.0, "zone30": 30.0, "30": 30.0}


@dataclass(frozen=True, slots=True)
class Driving:
    """How a way is driven on; a direction without speed is not."""

    road_class: str
    forward_kmh: float | None
    backward_kmh: float | None
    lanes: int | None

    @property
    def car_only(self) -> bool:
        """Whether nobody can stop there to begin or end a way."""
        return self.road_class in ("motorway", "motorway_link")


def driving(tags: Mapping[str, str]) -> Driving | str:
    """How cars drive on a way, in km/h of the free road; or why they do not."""
    road_class = tags.get("highway", "")
    if road_class not in CLASS_KMH:
        return "not-drivable"
    if tags.get("area") == "yes":
        return "area"
    if road_class == "service" and tags.get("service") in _SIDE_WAYS:
        return "side-way"
    stated = (tags[key] for key in ("motorcar", "motor_vehicle", "vehicle", "access") if key in tags)
    if next(stated, "yes") in _NOT_FOR_CARS:
        return "no-access"
    forward, backward = directions(tags)
    if not (forward or backward):
        return "changing-direction"
    both = limit_kmh(tags.get("maxspeed", "")) or CLASS_KMH[road_class]
    speeds = (limit_kmh(tags.get(f"maxspeed:{way}", "")) or both for way in ("forward", "backward"))
    ahead, back = (speed * OF_LIMIT if there else None for speed, there in zip(speeds, (forward, backward), strict=True))
    return Driving(road_class, ahead, back, _lanes(tags.get("lanes", "")))


def directions(tags: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether a way is driven along its points, and against them."""
    stated = tags.get("oneway", "")
    if stated in ("yes", "true", "1"):
        return True, False
    if stated in ("-1", "reverse"):
        return False, True
    if stated in ("reversible", "alternating"):
        return False, False
    implied = tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway"
    return True, stated == "no" or not implied


def limit_kmh(text: str) -> float | None:
    """A speed limit in km/h: `50`, `30 mph`, `CN:urban`, the least of `50;30`; None for what says none."""
    found = [_one_limit(part.strip()) for part in text.split(";")]
    return min((each for each in found if each), default=None)


def _one_limit(text: str) -> float | None:
    if match := _SPEED.match(text):
        speed = float(match[1]) * (MPH if match[2] == "mph" else 1)
        return speed if 1 <= speed <= 200 else None
    if text == "walk":
        return 7.0
    return _BY_PLACE.get(text.partition(":")[2])


def _lanes(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:3]) < 20 else None
