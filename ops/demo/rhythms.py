"""How a made-up city rises and falls: pure functions of time and a seed. Shapes and levels are assumptions of the demo."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta, timezone
from hashlib import blake2b

CITY_ZONE = timezone(timedelta(hours=8))
CALLS_BY_HOUR = (0.5, 0.4, 0.4, 0.4, 0.4, 0.5, 0.7, 1.0, 1.2, 1.3, 1.3, 1.3, 1.3, 1.2, 1.2, 1.2, 1.3, 1.5, 1.5, 1.4, 1.3, 1.1, 0.9, 0.7)
TRAFFIC_BY_HOUR = (0.15, 0.1, 0.08, 0.08, 0.1, 0.25, 0.6, 1.0, 0.95, 0.7, 0.6, 0.6, 0.65, 0.6, 0.6, 0.65, 0.8, 1.0, 0.95, 0.7, 0.55, 0.45, 0.35, 0.25)
OFFICE_BY_HOUR = (0.1,) * 8 + (1.5,) * 4 + (0.7,) + (1.5,) * 5 + (0.8,) * 3 + (0.2,) * 3
"""Of the mean, by the city's hour."""
FREE_KMH, JAM_KMH = 46.0, 16.0
LANE_VOLUME = 900.0
"""Vehicles an hour at the busiest."""


def noise(name: str, at: datetime, period_s: float) -> float:
    """A smooth value in [-1, 1] that wanders about once a period; the same name and moment give the same value."""
    place = at.timestamp() / period_s
    before = math.floor(place)
    share = place - before
    ease = share * share * (3 - 2 * share)
    return _corner(name, before) * (1 - ease) + _corner(name, before + 1) * ease


def _corner(name: str, number: int) -> float:
    return 2 * uniform(name, number) - 1


def uniform(*key: object) -> float:
    """A value in [0, 1) that belongs to a key."""
    return int.from_bytes(blake2b("/".join(map(str, key)).encode(), digest_size=7).digest()) / 2**56


def by_hour(shape: tuple[float, ...], at: datetime) -> float:
    """A shape of the day at a moment, between its hours straight."""
    local = at.astimezone(CITY_ZONE)
    share = (local.minute * 60 + local.second) / 3600
    return shape[local.hour] * (1 - share) + shape[(local.hour + 1) % 24] * share


def gap_s(chance: random.Random, mean_s: float, shape: tuple[float, ...], at: datetime) -> float:
    """Seconds to the next event of a Poisson process whose rate follows the hour; never more than six means, so that a quiet night ends."""
    return min(chance.expovariate(by_hour(shape, at) / mean_s), 6 * mean_s)


def wind(seed: str, station: str, at: datetime) -> tuple[float, float]:
    """Where it comes from in degrees and how fast in m/s: one wind for the city, a little different at each station."""
    towards = 315 + 50 * noise(f"{seed}/wind", at, 3 * 3600) + 6 * noise(f"{seed}/{station}/wind", at, 900)
    speed = 2.6 + 1.1 * noise(f"{seed}/speed", at, 2 * 3600) + 0.4 * noise(f"{seed}/{station}/speed", at, 300)
    return round(towards % 360, 1), round(max(0.4, speed), 2)


def temperature(seed: str, station: str, at: datetime) -> float:
    """Degrees Celsius: warmest in July and at three in the afternoon."""
    local = at.astimezone(CITY_ZONE)
    season = 18 - 12 * math.cos(2 * math.pi * (local.timetuple().tm_yday - 20) / 365)
    day = -4 * math.cos(2 * math.pi * (local.hour + local.minute / 60 - 3) / 24)
    return round(season + day + 1.5 * noise(f"{seed}/warm", at, 12 * 3600) + 0.3 * noise(f"{seed}/{station}/warm", at, 1200), 1)


def air(seed: str, station: str, hour: datetime) -> dict[str, float]:
    """Hourly means by property: particles and nitrogen dioxide with the traffic, ozone with the sun. µg/m³, carbon monoxide in mg/m³."""
    busy, heavy = by_hour(TRAFFIC_BY_HOUR, hour), 1 + 0.5 * noise(f"{seed}/haze", hour, 30 * 3600)
    local = 1 + 0.15 * noise(f"{seed}/{station}/air", hour, 4 * 3600)
    sun = max(0.0, math.sin(math.pi * (hour.astimezone(CITY_ZONE).hour - 6) / 13))
    fine = (24 + 16 * busy) * heavy * local
    found = {"pm25": fine, "pm10": fine * 1.55 + 4, "so2": 6 + 4 * busy * local, "no2": (12 + 34 * busy) * local, "co": 0.5 + 0.5 * busy * heavy}
    return {name: round(value, 2 if name == "co" else 1) for name, value in {**found, "o3": (28 + 95 * sun) * local}.items()}


def traffic(seed: str, detector: str, minute: datetime) -> dict[str, float]:
    """Mean speed in km/h and volume in vehicles an hour of one minute: slow where full."""
    size = 0.6 + 0.8 * uniform(seed, detector)
    full = by_hour(TRAFFIC_BY_HOUR, minute) * (1 + 0.2 * noise(f"{seed}/{detector}/flow", minute, 420))
    speed = FREE_KMH - (FREE_KMH - JAM_KMH) * min(1.0, max(0.0, full - 0.25)) ** 1.5 + 3 * noise(f"{seed}/{detector}/speed", minute, 180)
    return {"speed": round(max(6.0, speed), 1), "volume": float(round(LANE_VOLUME * size * full / 60) * 60)}


def gas_ppm(seed: str, sensor: str, at: datetime) -> float:
    """Next to nothing; for some minutes, a few times a day, above the first alarm of 1 ppm."""
    quiet = 0.12 + 0.08 * noise(f"{seed}/{sensor}/gas", at, 240)
    puff = noise(f"{seed}/{sensor}/puff", at, 1800) - 0.955
    return round(quiet + max(0.0, puff) * 40, 3)


def water_level(seed: str, gauge: str, usual_m: float, at: datetime) -> float:
    """Metres: days of rise and fall, with ripples."""
    return round(usual_m + 0.9 * noise(f"{seed}/river", at, 4 * 86400) + 0.03 * noise(f"{seed}/{gauge}/ripple", at, 900), 2)
