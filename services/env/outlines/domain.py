"""Where a release endangers people: distances of the Emergency Response Guidebook, the sun, stability of the air, a Gaussian plume, and their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import acos, asin, cos, degrees, exp, log, pi, radians, sin, sqrt
from typing import Any

import shapely
from shapely.geometry import mapping, shape

CALM_M_S = 1.0
"""Below this the wind has no direction to rely on: the outline reaches in all directions (variable wind)."""
LOW_WIND_M_S, HIGH_WIND_M_S = 10 / 3.6, 20 / 3.6
"""Table 3 of the guidebook: low below 10 km/h, high above 20 km/h."""
SPAN_S = 1800.0
"""The guidebook's distances stand for the first 30 minutes: so much of a known rate counts as the amount."""
PLUME_M = (10.0, 10_000.0)
"""Briggs' formulas were fitted between 100 m and 10 km; nearer than that the isolation circle holds the contour."""
MOLAR_VOLUME_L = 24.465
"""Litres of a mole of gas at 25 °C and 101.325 kPa."""


@dataclass(frozen=True, slots=True)
class Wind:
    """The wind that a station measured."""

    from_deg: float | None
    """Where it comes from; None where the station measures no direction."""
    speed_m_s: float
    station: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Spill:
    """A row of table 1 for one size of spill."""

    isolation_m: float
    day_km: float
    night_km: float


@dataclass(frozen=True, slots=True)
class Container:
    """A row of table 3: a large spill from one kind of container; km at low, moderate, high wind."""

    least_kg: float
    """The row holds for a container with this much and more: our reading of its name, not the guidebook's."""
    name: str
    isolation_m: float
    day_km: tuple[float, float, float]
    night_km: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Neutral:
    """A gas about as dense as air, to which the Gaussian plume applies, and the concentration that bounds its outline."""

    molar_mass: float
    """g/mol; air has 28.96."""
    limit_ppm: float
    limit: str
    """Name and source of the limit."""


@dataclass(frozen=True, slots=True)
class Distances:
    """How far to isolate and protect, and by which row."""

    isolation_m: float
    protective_m: float
    row: str


def small_spill(spill: Spill, *, day: bool) -> Distances:
    """Table 1 for one size of spill."""
    return Distances(spill.isolation_m, 1000 * (spill.day_km if day else spill.night_km), f"table 1, {'day' if day else 'night'}")


def large_spill(containers: Sequence[Container], amount_kg: float, wind_m_s: float | None, *, day: bool) -> Distances:
    """Table 3: by container, day or night, and wind; the low wind's row, the farthest, where the wind is not known."""
    container = next(each for each in containers if amount_kg >= each.least_kg)
    strength = 0 if wind_m_s is None or wind_m_s < LOW_WIND_M_S else 1 if wind_m_s <= HIGH_WIND_M_S else 2
    km = (container.day_km if day else container.night_km)[strength]
    row = f"table 3, {container.name}, {'day' if day else 'night'}, {('low', 'moderate', 'high')[strength]} wind"
    return Distances(container.isolation_m, 1000 * km, row)


def sun_elevation(lon: float, lat: float, at: datetime) -> float:
    """Height of the sun's centre above the horizon in degrees, without refraction.

    Low-precision solar coordinates of the Astronomical Almanac (Meeus, Astronomical Algorithms, chapter 25), within 0.02 degrees from 1950 to 2050.
    """
    days = (at - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86_400
    anomaly = radians(357.528 + 0.9856003 * days)
    ecliptic = radians(280.460 + 0.9856474 * days + 1.915 * sin(anomaly) + 0.020 * sin(2 * anomaly))
    tilt = radians(23.439 - 0.0000004 * days)
    declination = asin(sin(tilt) * sin(ecliptic))
    # the hour angle by sidereal time and right ascension; both tangents of the ascension have the cosine's sign
    x, y = cos(ecliptic), cos(tilt) * sin(ecliptic)
    ascension = acos(max(-1.0, min(1.0, x / sqrt(x * x + y * y)))) * (1 if y >= 0 else -1)
    sidereal = radians((280.46061837 + 360.98564736629 * days + lon) % 360)
    height = sin(radians(lat)) * sin(declination) + cos(radians(lat)) * cos(declination) * cos(sidereal - ascension)
    return degrees(asin(max(-1.0, min(1.0, height))))


def is_day(lon: float, lat: float, at: datetime) -> bool:
    """Between sunrise and sunset: the sun's upper edge is above the horizon with mean refraction (0.833 degrees)."""
    return sun_elevation(lon, lat, at) > -0.833


def stability(wind_m_s: float, elevation: float, cloud: float | None = None) -> str:
    """Pasquill's class A to F by wind at 10 m, the sun's height and the cloud cover (0 to 1); Turner 1970, table 3-1.

    With unknown cloud the more stable of what is possible: slight insolation by day, a clear sky by night. An overcast sky is D, day and night.
    """
    speed = 0 if wind_m_s < 2 else 1 if wind_m_s < 3 else 2 if wind_m_s < 5 else 3 if wind_m_s < 6 else 4
    if cloud is not None and cloud >= 7 / 8:
        return "D"
    if elevation <= 0:
        return ("F", "F", "E", "D", "D")[speed] if cloud is None or cloud < 0.5 else ("E", "E", "D", "D", "D")[speed]
    strong, moderate = elevation > 60, elevation > 35
    if cloud is None:
        strong = moderate = False
    elif cloud >= 0.5:
        strong, moderate = False, strong
    if strong:
        return ("A", "A", "B", "C", "C")[speed]
    return ("A", "B", "B", "C", "D")[speed] if moderate else ("B", "C", "C", "D", "D")[speed]


def sigmas(stable: str, x_m: float) -> tuple[float, float]:
    """Standard deviations across and up, in metres, at a distance downwind in open country (Briggs 1973; EPA-454/B-95-003b, table 1-1 ff.)."""
    near = 1 / sqrt(1 + 0.0001 * x_m)
    across = {"A": 0.22, "B": 0.16, "C": 0.11, "D": 0.08, "E": 0.06, "F": 0.04}[stable] * x_m * near
    up = {
        "A": 0.20 * x_m,
        "B": 0.12 * x_m,
        "C": 0.08 * x_m / sqrt(1 + 0.0002 * x_m),
        "D": 0.06 * x_m / sqrt(1 + 0.0015 * x_m),
        "E": 0.03 * x_m / (1 + 0.0003 * x_m),
        "F": 0.016 * x_m / (1 + 0.0003 * x_m),
    }[stable]
    return across, up


def concentration(rate: float, wind_m_s: float, spread: tuple[float, float], y_m: float = 0.0) -> float:
    """Concentration at the ground, `rate`'s mass per m3: Turner 1970, eq. (3.3): Q/(pi u sy sz) exp(-y2/(2 sy2)), source at the ground, full reflection."""
    across, up = spread
    return rate / (pi * wind_m_s * across * up) * exp(-(y_m**2) / (2 * across**2))


def grams_per_m3(ppm: float, molar_mass: float) -> float:
    """A volume fraction as a mass concentration at 25 °C and 101.325 kPa."""
    return ppm * 1e-6 * molar_mass / MOLAR_VOLUME_L * 1000


def plume_edge(rate_kg_s: float, wind_m_s: float, stable: str, limit_g_m3: float) -> list[tuple[float, float]]:
    """The contour where the concentration at the ground falls to the limit: distance downwind and half width in metres, none if it is nowhere reached."""
    nearest, farthest = PLUME_M
    edge = []
    for step in range(121):
        x = nearest * (farthest / nearest) ** (step / 120)
        spread = sigmas(stable, x)
        middle = concentration(1000 * rate_kg_s, wind_m_s, spread)
        if middle > limit_g_m3:
            edge.append((x, spread[0] * sqrt(2 * log(middle / limit_g_m3))))
    return edge


def circle(radius_m: float) -> shapely.Geometry:
    """A circle around the release that lies outside the true one nowhere by more than half a percent."""
    return shapely.Point(0, 0).buffer(radius_m, quad_segs=16)


def zone(distances: Distances, wind_from_deg: float | None) -> shapely.Geometry:
    """The isolation circle and the protective action zone, in metres east and north of the release.

    Downwind the zone is as wide as it is long (the guidebook, "How to use table 1"); with no direction to rely on it is a circle.
    """
    if wind_from_deg is None:
        return circle(max(distances.isolation_m, distances.protective_m))
    half = distances.protective_m / 2
    corners = [(0, half), (distances.protective_m, half), (distances.protective_m, -half), (0, -half)]
    return circle(distances.isolation_m).union(shapely.Polygon(_downwind(corners, wind_from_deg)))


def plume(edge: Sequence[tuple[float, float]], isolation_m: float, wind_from_deg: float) -> shapely.Geometry:
    """The contour of the plume and the isolation circle, in metres east and north of the release."""
    outline = [(0.0, 0.0), *edge, *((x, -half) for x, half in reversed(edge))]
    if len(edge) < 2:
        return circle(isolation_m)
    return circle(isolation_m).union(shapely.Polygon(_downwind(outline, wind_from_deg)).buffer(0))


def _downwind(points: Sequence[tuple[float, float]], wind_from_deg: float) -> list[tuple[float, float]]:
    """Points given as distance downwind and to the left of it, as metres east and north."""
    towards = radians(wind_from_deg + 180)
    return [(x * sin(towards) - left * cos(towards), x * cos(towards) + left * sin(towards)) for x, left in points]


def on_earth(local: shapely.Geometry, lon: float, lat: float) -> tuple[dict[str, Any], tuple[float, float, float, float]]:
    """A shape in metres around a point as GeoJSON (WGS 84, outer rings counter-clockwise: RFC 7946) and its extent: west, south, east, north.

    Metres become degrees by the radii of curvature of the ellipsoid at the point: within 0.1 % up to 11 km away below 60 degrees of latitude.
    """
    phi = radians(max(-89.0, min(89.0, lat)))
    flattened = 1 - 0.00669437999014 * sin(phi) ** 2
    per_north = radians(6_378_137.0 * (1 - 0.00669437999014) / flattened**1.5)
    per_east = radians(6_378_137.0 * cos(phi) / sqrt(flattened))

    def degrees_of(points: Any) -> Any:
        moved = points / (per_east, per_north) + (lon, lat)
        return moved.clip((-180, -90), (180, 90)).round(6)

    placed = shapely.orient_polygons(shapely.make_valid(shapely.transform(local, degrees_of), method="structure", keep_collapsed=False))
    west, south, east, north = (float(bound) for bound in shapely.bounds(placed))
    return mapping(placed), (west, south, east, north)


def moved(before: Mapping[str, Any] | None, after: Mapping[str, Any], by: float = 0.1) -> bool:
    """Whether two outlines differ by more than this share of the area that either of them covers."""
    if before is None:
        return True
    first, second = shape(before), shape(after)
    together = first.union(second).area
    return bool(together > 0 and first.symmetric_difference(second).area / together > by)


def widest_deg(lat: float, radius_m: float) -> tuple[float, float]:
    """Degrees of longitude and latitude that hold a radius around a latitude."""
    north = degrees(radius_m / 6_371_008.8)
    return north / max(0.01, cos(radians(min(89.0, abs(lat) + north)))), north


def great_circle_m(from_: tuple[float, float], to: tuple[float, float]) -> float:
    """Distance of two points (longitude, latitude in degrees) by the haversine formula, metres."""
    (lon1, lat1), (lon2, lat2) = (tuple(map(radians, point)) for point in (from_, to))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * 6_371_008.8 * asin(sqrt(min(1.0, half)))
