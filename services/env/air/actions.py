"""Hourly means of stations on one grid, and the indices made of them: one query each, whatever the number of stations and hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.env.air import domain
from services.env.datasets import STATIONS
from shared.caller import Caller
from shared.datasets.view import view
from shared.errors import NotFound
from shared.series import observations_hourly, series

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole hours from `start`, so many of them."""

    start: datetime
    hours: int

    @classmethod
    def of(cls, start: datetime, end: datetime) -> Span:
        """The hours that begin at or after the hour of `start` and before `end`."""
        first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return cls(first, -(-(end - first) // HOUR) if end > first else 0)


@dataclass(frozen=True, slots=True)
class Grid:
    """Hourly means by pollutant, as arrays of station and hour; NaN where there is no valid one."""

    stations: Mapping[str, ZoneInfo]
    span: Span
    means: Mapping[str, NDArray[np.float64]]

    @property
    def codes(self) -> list[str]:
        return list(self.stations)

    def by_zone(self) -> list[tuple[ZoneInfo, list[int]]]:
        """Positions of the stations of each zone."""
        zones = list(self.stations.values())
        return [(zone, [place for place, other in enumerate(zones) if other is zone]) for zone in dict.fromkeys(zones)]


async def visible_stations(reader: AsyncConnection, caller: Caller, city: Sequence[str], codes: Sequence[str] | None) -> dict[str, ZoneInfo]:
    """Stations that exist for the caller, with their zones; `NotFound` for a code that does not."""
    seen = view(STATIONS, caller, city_areas=city)
    query = select(seen.columns["code"], seen.columns["timezone"]).select_from(seen.source).where(seen.rows).order_by(seen.columns["code"])
    if codes:
        query = query.where(seen.columns["code"] == func.any(sorted(set(codes))))
    found = {str(row.code): ZoneInfo(str(row.timezone)) for row in await reader.execute(query)}
    for code in codes or ():
        if code not in found:
            raise NotFound(f"There is no station {code!r}.", pointer="/station")
    return found


async def read_hourly(reader: AsyncConnection, stations: Mapping[str, ZoneInfo], span: Span) -> Grid:
    """The valid hourly means of all pollutants, one row for each series."""
    hourly, end = observations_hourly, span.start + span.hours * HOUR
    offset = cast(func.extract("epoch", hourly.c.hour - span.start) / 3600, Integer)
    query = (
        select(series.c.feature, series.c.property, func.array_agg(offset), func.array_agg(hourly.c.mean))
        .join(hourly, hourly.c.series == series.c.id)
        .where(series.c.feature == func.any(list(stations)), series.c.property.in_(domain.POLLUTANTS))
        .where(hourly.c.hour >= span.start, hourly.c.hour < end, hourly.c.count >= series.c.hour_needs)
        .group_by(series.c.id)
    )
    means = {name: np.full((len(stations), span.hours), np.nan) for name in domain.POLLUTANTS}
    place = {code: number for number, code in enumerate(stations)}
    for feature, measured, offsets, values in await reader.execute(query):
        means[measured][place[feature], offsets] = values
    return Grid(stations, span, means)


def hours_of(grid: Grid, start: datetime) -> dict[str, Any]:
    """The index of each hour from `start`; what lies before serves the sliding means."""
    answer = _Answer("hours")
    moments = [grid.span.start + number * HOUR for number in range(grid.span.hours)]
    for zone, places in grid.by_zone():
        local = [moment.astimezone(zone) for moment in moments]
        for edition in domain.EDITIONS:
            wanted = np.array(
                [moment >= start and domain.edition_of(here.date()) is edition for moment, here in zip(moments, local, strict=True)], dtype=np.bool_
            )
            if wanted.any():
                index = domain.hourly_index({name: values[places] for name, values in grid.means.items()}, edition)
                answer.add([grid.codes[place] for place in places], [{"time": time} for time in local], index, edition, wanted)
    return answer.finished()


def days_of(grid: Grid, start: date, end: date) -> dict[str, Any]:
    """The index of each local day from `start` until the day before `end`; days of equal length and edition at once."""
    answer = _Answer("days")
    moments = [grid.span.start + number * HOUR for number in range(grid.span.hours)]
    for zone, places in grid.by_zone():
        ordinals = np.array([moment.astimezone(zone).toordinal() for moment in moments])
        days, first, lengths = np.unique(ordinals, return_index=True, return_counts=True)
        inside = (days >= start.toordinal()) & (days < end.toordinal())
        for edition in domain.EDITIONS:
            of_edition = inside & np.array([domain.edition_of(date.fromordinal(day)) is edition for day in days.tolist()], dtype=np.bool_)
            for length in np.unique(lengths[of_edition]).tolist():
                chosen = of_edition & (lengths == length)
                hours = first[chosen][:, None] + np.arange(length)
                index = domain.daily_index({name: values[places][:, hours] for name, values in grid.means.items()}, edition)
                named = [{"date": date.fromordinal(day)} for day in days[chosen].tolist()]
                answer.add([grid.codes[place] for place in places], named, index, edition, np.ones(len(named), dtype=np.bool_))
    return answer.finished()


class _Answer:
    """Rows of an answer, in words."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: list[dict[str, Any]] = []
        self._sources: dict[str, str] = {}

    def add(self, codes: Sequence[str], times: Sequence[dict[str, Any]], index: domain.Index, edition: domain.Edition, wanted: NDArray[np.bool_]) -> None:
        """The indices, arrays of station and time, at the wanted times where there are any."""
        overall = index.overall
        for station, place in np.argwhere(~np.isnan(overall) & wanted).tolist():
            individual = {name: int(values[station, place]) for name, values in index.by_pollutant.items() if not np.isnan(values[station, place])}
            level = domain.level_of(aqi := int(overall[station, place]))
            self._rows.append(
                {
                    "station": codes[station],
                    **times[place],
                    "aqi": aqi,
                    "level": {"number": level.number, **level.name.as_dict()},
                    "primary": domain.primary_pollutants(individual),
                    "iaqi": individual,
                    "missing": [name for name in domain.POLLUTANTS if name not in individual],
                    "edition": edition.name,
                }
            )
            self._sources[edition.name] = edition.source

    def finished(self) -> dict[str, Any]:
        """By station and time."""
        self._rows.sort(key=lambda row: (row["station"], row.get("time") or row["date"]))
        return {self._name: self._rows, "sources": self._sources}
