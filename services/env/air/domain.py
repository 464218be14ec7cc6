"""Air quality index by HJ 633 and GB 3095, edition by date of observation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from shared.vocabulary import Text

Numbers = NDArray[np.float64]
Breakpoints = tuple[tuple[int, ...], tuple[int, ...]]
"""Concentrations and the indices that they reach."""
POLLUTANTS = ("pm25", "pm10", "so2", "no2", "co", "o3")
DAY_NEEDS = 20
"""Valid hours that a daily mean needs (GB 3095-2012, table 4)."""
EIGHT_NEEDS = 6
"""Valid hours that an 8 h mean needs (GB 3095-2012, table 4)."""
EIGHTS_NEEDED = 14
"""Valid 8 h means, ending between 8:00 and 24:00, that a day's maximum needs (HJ 663-2013, table 1); fewer do if it exceeds the limit."""
O3_LIMIT = 160
"""µg/m³, 8 h, class II (GB 3095-2012, table 1)."""
SCALE = (0, 50, 100, 150, 200, 300, 400, 500)
SOURCE_2012 = "HJ 633-2012, table 1"
SOURCE_2026 = "HJ 633-2026 as secondary sources have it"


@dataclass(frozen=True, slots=True)
class Level:
    """A level of the index (HJ 633-2012, table 2)."""

    number: int
    upto: float
    name: Text


LEVELS = (
    Level(1, 50, Text("优", "Excellent")),
    Level(2, 100, Text("良", "Good")),
    Level(3, 150, Text("轻度污染", "Lightly polluted")),
    Level(4, 200, Text("中度污染", "Moderately polluted")),
    Level(5, 300, Text("重度污染", "Heavily polluted")),
    Level(6, float("inf"), Text("严重污染", "Severely polluted")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One edition of HJ 633. Concentrations in µg/m³, carbon monoxide in mg/m³."""

    name: str
    source: str
    day: Mapping[str, Breakpoints]
    """By daily mean; ozone by the greatest 8 h mean."""
    hour: Mapping[str, Breakpoints]
    """By hourly mean; particles by the mean that `sliding_particles` says."""
    sliding_particles: bool
    """Whether the real-time report takes the mean of the last 24 hours for particles, not that of the hour."""
    beyond_substitutes: bool
    """Above 800 µg/m³, whether SO₂ 1 h goes by its 24 h mean and O₃ 8 h by its 1 h mean (2012, notes 2 and 3); else they stay at 200 and 300."""


def _scale(*concentrations: int) -> Breakpoints:
    return concentrations, SCALE[: len(concentrations)]


_DAY_2012 = {
    "so2": _scale(0, 50, 150, 475, 800, 1600, 2100, 2620),
    "no2": _scale(0, 40, 80, 180, 280, 565, 750, 940),
    "pm10": _scale(0, 50, 150, 250, 350, 420, 500, 600),
    "co": _scale(0, 2, 4, 14, 24, 36, 48, 60),
    "o3": _scale(0, 100, 160, 215, 265, 800),
    "pm25": _scale(0, 35, 75, 115, 150, 250, 350, 500),
}
_HOUR_2012 = {
    "so2": _scale(0, 150, 500, 650, 800),
    "no2": _scale(0, 100, 200, 700, 1200, 2340, 3090, 3840),
    "pm10": _DAY_2012["pm10"],
    "co": _scale(0, 5, 10, 35, 60, 90, 120, 150),
    "o3": _scale(0, 160, 200, 300, 400, 800, 1000, 1200),
    "pm25": _DAY_2012["pm25"],
}
_PARTICLES_2026 = {"pm25": _scale(0, 35, 60, 115, 150, 250, 350, 500), "pm10": _scale(0, 50, 120, 250, 350, 420, 500, 600)}
HJ633_2012 = Edition(name="HJ 633-2012", source=SOURCE_2012, day=_DAY_2012, hour=_HOUR_2012, sliding_particles=True, beyond_substitutes=True)
HJ633_2026 = Edition(
    name="HJ 633-2026",
    source=SOURCE_2026,
    day=_DAY_2012 | _PARTICLES_2026,
    hour=_HOUR_2012 | _PARTICLES_2026,
    sliding_particles=False,
    beyond_substitutes=False,
)
EDITIONS = (HJ633_2012, HJ633_2026)
IN_FORCE_2026 = date(2026, 3, 1)


def edition_of(observed: date) -> Edition:
    """The edition that was in force on the day of observation."""
    return HJ633_2026 if observed >= IN_FORCE_2026 else HJ633_2012


def individual_index(concentration: Numbers, breakpoints: Breakpoints) -> Numbers:
    """IAQI (HJ 633-2012, eq. 1), linear between breakpoints and rounded up; the last index beyond the last breakpoint, NaN for NaN.

    Rounding to six decimals comes first: 50 + 1e-14 is 50 that was computed, not 51.
    """
    index = np.interp(concentration, *breakpoints)
    return np.where(np.isnan(concentration), np.nan, np.ceil(np.round(index, 6)))


def level_of(index: int) -> Level:
    return next(level for level in LEVELS if index <= level.upto)


@dataclass(frozen=True, slots=True)
class Index:
    """Indices of some places and times: one array per pollutant, all of one shape; NaN where there is no valid mean."""

    by_pollutant: Mapping[str, Numbers]

    @property
    def overall(self) -> Numbers:
        """AQI, the greatest of the individual indices (eq. 2); NaN where there is none."""
        stacked = np.stack([self.by_pollutant[name] for name in POLLUTANTS])
        known = ~np.isnan(stacked)
        return np.where(known.any(axis=0), np.max(stacked, axis=0, where=known, initial=0), np.nan)


def primary_pollutants(individual: Mapping[str, float]) -> list[str]:
    """Those with the greatest index, if that is above 50 (HJ 633-2012, 4.4.1)."""
    greatest = max(individual.values(), default=0)
    return [name for name in POLLUTANTS if individual.get(name) == greatest] if greatest > 50 else []


def sliding_mean(hourly: Numbers, width: int, needs: int) -> Numbers:
    """At each hour the mean of the `width` hours that end with it, NaN below `needs` valid ones. Hours along the last axis."""
    before = np.full((*hourly.shape[:-1], width - 1), np.nan)
    windows = sliding_window_view(np.concatenate((before, hourly), axis=-1), width, axis=-1)
    return _mean(windows, needs)


def _mean(values: Numbers, needs: int) -> Numbers:
    """Mean along the last axis of what is not NaN, NaN below `needs` values."""
    count = (~np.isnan(values)).sum(axis=-1)
    return np.where(count >= needs, np.nansum(values, axis=-1) / np.maximum(count, 1), np.nan)


def hourly_index(hourly: Mapping[str, Numbers], edition: Edition) -> Index:
    """The real-time index of each hour from hourly means; the 23 hours before must be there for the sliding means."""
    taken = {name: hourly[name] for name in POLLUTANTS}
    if edition.sliding_particles:
        taken |= {name: sliding_mean(hourly[name], 24, DAY_NEEDS) for name in ("pm25", "pm10")}
    index = {name: individual_index(taken[name], edition.hour[name]) for name in POLLUTANTS}
    if edition.beyond_substitutes:
        by_day = individual_index(sliding_mean(hourly["so2"], 24, DAY_NEEDS), edition.day["so2"])
        index["so2"] = np.where(hourly["so2"] > 800, by_day, index["so2"])
    return Index(index)


def greatest_eight_hours(hourly: Numbers) -> Numbers:
    """The day's greatest mean of 8 hours, from the hours of a day along the last axis; windows lie wholly within the day."""
    eights = _mean(sliding_window_view(hourly, 8, axis=-1), EIGHT_NEEDS)
    valid = (~np.isnan(eights)).sum(axis=-1)
    greatest = np.max(eights, axis=-1, where=~np.isnan(eights), initial=-1)
    return np.where((valid >= EIGHTS_NEEDED) | (greatest > O3_LIMIT), greatest, np.nan)


def daily_index(hourly: Mapping[str, Numbers], edition: Edition) -> Index:
    """The index of each day from the hourly means of its 23 to 25 hours, along the last axis."""
    means = {name: _mean(hourly[name], DAY_NEEDS) for name in POLLUTANTS if name != "o3"} | {"o3": greatest_eight_hours(hourly["o3"])}
    index = {name: individual_index(means[name], edition.day[name]) for name in POLLUTANTS}
    if edition.beyond_substitutes:
        known = ~np.isnan(hourly["o3"])
        greatest = np.where(known.any(axis=-1), np.max(hourly["o3"], axis=-1, where=known, initial=0), np.nan)
        index["o3"] = np.where(means["o3"] > 800, individual_index(greatest, edition.hour["o3"]), index["o3"])
    return Index(index)
