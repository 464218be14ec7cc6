"""From what is known of a release and of the wind to its outlines: the guidebook's at once, the plume's where it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.env.outlines.domain import (
    CALM_M_S,
    SPAN_S,
    Distances,
    Wind,
    circle,
    grams_per_m3,
    is_day,
    large_spill,
    on_earth,
    plume,
    plume_edge,
    small_spill,
    stability,
    sun_elevation,
    zone,
)
from services.env.outlines.tables import (
    DENSE,
    EDITION,
    GUIDE_ISOLATION_M,
    GUIDE_PROTECTIVE_M,
    NEUTRAL,
    SMALL_KG,
    TABLE_1,
    TABLE_3,
    UN_OF_CAS,
    UNVERIFIED,
)
from shared.vocabulary import Text

_TRUCK_KG = 3_000.0
_PAPERS = "Pasquill-Gifford plume: Turner 1970 (AP-26), eq. (3.3); Briggs 1973, open country; Pasquill class by Turner 1970, table 3-1"


@dataclass(frozen=True, slots=True)
class Escape:
    """What is known of a release."""

    release: str
    substance: str
    un: str | None
    rate_kg_s: float | None
    amount_kg: float | None
    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Outline:
    """An outline by one method."""

    method: str
    source: str
    valid: bool
    isolation_m: float
    protective_m: float
    wind: Wind | None
    stability: str | None
    geometry: dict[str, Any]
    extent: tuple[float, float, float, float]
    notes: list[Text] = field(default_factory=list)

    @property
    def direction(self) -> float | None:
        """Where the wind comes from, if there is one to rely on."""
        return self.wind.from_deg if self.wind and self.wind.speed_m_s >= CALM_M_S else None


def outlines_of(escape: Escape, wind: Wind | None, at: datetime) -> list[Outline]:
    """The guidebook's outline and, where a plume holds, the plume's after it."""
    first = _guidebook(escape, wind, at)
    second = _plume(escape, wind, at, first)
    return [first] if second is None else [first, second]


def _guidebook(escape: Escape, wind: Wind | None, at: datetime) -> Outline:
    notes: list[Text] = []
    day = is_day(escape.lon, escape.lat, at)
    distances, valid = _distances(escape, wind, notes, day=day)
    reliable = wind if wind and wind.speed_m_s >= CALM_M_S and wind.from_deg is not None else None
    if wind is None:
        notes.append(Text("2 小时内 30 公里内无风的观测：各方向", "No wind observed within 2 h and 30 km: all directions"))
    elif reliable is None:
        notes.append(Text("风速低于 1 m/s，风向不定：各方向", "Wind below 1 m/s, of no steady direction: all directions"))
    if escape.substance in DENSE:
        notes.append(Text("重气或液化气气溶胶：高斯烟羽不适用", "Dense gas or cold aerosol: a Gaussian plume is not valid"))
    geometry, extent = on_earth(zone(distances, reliable.from_deg if reliable else None), escape.lon, escape.lat)
    return Outline(
        method="erg-isolation",
        source=f"{EDITION}, {distances.row} ({UNVERIFIED})",
        valid=valid,
        isolation_m=distances.isolation_m,
        protective_m=max(distances.protective_m, distances.isolation_m),
        wind=wind,
        stability=None,
        geometry=geometry,
        extent=extent,
        notes=notes,
    )


def _distances(escape: Escape, wind: Wind | None, notes: list[Text], *, day: bool) -> tuple[Distances, bool]:
    """Distances of the guidebook, and whether its tables have the substance at all."""
    un = escape.un if escape.un in TABLE_1 else UN_OF_CAS.get(escape.substance)
    if un is None:
        notes.append(Text("ERG 表 1 无此物质：取橙页指南的一般距离", "Not in table 1 of the guidebook: the general distances of the orange guides"))
        return Distances(GUIDE_ISOLATION_M, GUIDE_PROTECTIVE_M, "orange guides in general"), False
    amount = escape.amount_kg
    if amount is None and escape.rate_kg_s is not None:
        amount = escape.rate_kg_s * SPAN_S
        notes.append(Text("总量未知：按速率乘 30 分钟", "Amount unknown: the rate for 30 minutes"))
    elif amount is None:
        amount = _TRUCK_KG
        notes.append(Text("速率和总量未知：按槽车大泄漏", "Rate and amount unknown: a large spill from a tank truck"))
    small, large = TABLE_1[un]
    if amount <= SMALL_KG:
        return small_spill(small, day=day), True
    if large is not None:
        return small_spill(large, day=day), True
    return large_spill(TABLE_3[un], amount, wind.speed_m_s if wind else None, day=day), True


def _plume(escape: Escape, wind: Wind | None, at: datetime, first: Outline) -> Outline | None:
    """The plume's outline, or None where the gas, the rate or the wind does not allow it."""
    gas = NEUTRAL.get(escape.substance)
    if gas is None or escape.rate_kg_s is None or wind is None or wind.from_deg is None or wind.speed_m_s < CALM_M_S:
        return None
    stable = stability(wind.speed_m_s, sun_elevation(escape.lon, escape.lat, at))
    edge = plume_edge(escape.rate_kg_s, wind.speed_m_s, stable, grams_per_m3(gas.limit_ppm, gas.molar_mass))
    local = plume(edge, first.isolation_m, wind.from_deg) if edge else circle(first.isolation_m)
    geometry, extent = on_earth(local, escape.lon, escape.lat)
    notes = [
        Text("云量未知：按较稳定取类（白天弱日照，夜间晴空）", "Cloud unknown: the more stable class is taken (slight insolation by day, clear by night)"),
        Text("地面连续点源、平坦开阔地、风向不变", "Continuous source at the ground, flat open country, steady wind"),
    ]
    if edge and edge[-1][0] >= 9_999:
        notes.append(Text("10 公里处仍高于限值：轮廓在此截断", "Still above the limit at 10 km: the outline is cut off there"))
    return Outline(
        method="gaussian-plume",
        source=f"{_PAPERS}; edge at {gas.limit_ppm:g} ppm, {gas.limit}",
        valid=True,
        isolation_m=first.isolation_m,
        protective_m=max(first.isolation_m, round(edge[-1][0], 1) if edge else 0.0),
        wind=wind,
        stability=stable,
        geometry=geometry,
        extent=extent,
        notes=notes,
    )
