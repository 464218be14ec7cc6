"""From the rows of a body to a batch of values: series resolved, units converted, everything checked, all rows at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches import Mask, Rejections
from shared.body import Rows
from shared.body.typed import Moments, Numbers, Texts, microseconds, moment_text, moments, numbers, texts
from shared.caller import Caller
from shared.series import units
from shared.series.directory import Known, SeriesDirectory
from shared.series.properties import Observed, Property, Quality

MOST_COUNTED = 100_000
"""Codes up to here are counted, not sorted."""
SKEW = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours."""


@dataclass(slots=True)
class Batch:
    """The values of a batch that may be taken, by series and time."""

    series: NDArray[np.int32]
    time: Moments
    value: Numbers
    quality: NDArray[np.int16]
    place: NDArray[np.int32]
    """Index among the readable rows, for rejections."""
    known: dict[int, Known]
    rejections: Rejections
    quality_stated: bool = False
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.series)

    def needs(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """The values that an hour needs in each of these series."""
        return np.fromiter((self.known[one].hour_needs for one in series.tolist()), dtype=np.int32, count=len(series))

    def cut(self, kept: Mask | NDArray[np.intp]) -> None:
        """Keep some of the values, or put them in another order."""
        self.series, self.time, self.value = self.series[kept], self.time[kept], self.value[kept]
        self.quality, self.place = self.quality[kept], self.place[kept]


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The distinct series of a batch, and which of them each row means."""

    keys: Sequence[tuple[str, str]]
    known: Sequence[Known | None]
    which: NDArray[np.intp]
    properties: Texts
    """What each row says it measures."""

    def each(self, of: Callable[[Known], int]) -> NDArray[np.int64]:
        """Something of each row's series, 0 where it has none."""
        return np.array([0 if known is None else of(known) for known in self.known], dtype=np.int64)[self.which]

    def measured(self, observed: Observed, of: Callable[[Property], float], otherwise: float) -> Numbers:
        """Something of each row's property."""
        found = [of(observed.by_code[code]) if code in observed.by_code else otherwise for code in self.properties.values]
        return np.array([*found, otherwise], dtype=np.float64)[self.properties.codes]


def columns(observed: Observed) -> tuple[str, ...]:
    """The columns that a row of observations may have."""
    return (observed.feature, "property", "time", "value", "unit", "quality")


async def read_batch(rows: Rows, observed: Observed, directory: SeriesDirectory, session: AsyncSession, caller: Caller, now: datetime) -> Batch:
    """Check rows and resolve their series; what is wrong with a row rejects that row alone."""
    rejections = Rejections(rows.numbers)
    rejections.unreadable(rows.unreadable)
    resolved = await _resolve(rows, observed, directory, session, caller, rejections)
    time = _times(rows, resolved, observed, now, rejections)
    value = _values(rows, resolved, observed, rejections)
    quality = _qualities(rows, rejections)
    alive = rejections.alive
    ids = resolved.each(lambda known: known.id).astype(np.int32)
    batch = Batch(
        series=ids[alive],
        time=time[alive],
        value=value[alive],
        quality=quality[alive],
        place=np.flatnonzero(alive).astype(np.int32),
        known={known.id: known for known in resolved.known if known is not None},
        rejections=rejections,
        quality_stated="quality" in rows.columns,
    )
    _one_per_key(batch)
    return batch


async def _resolve(rows: Rows, observed: Observed, directory: SeriesDirectory, session: AsyncSession, caller: Caller, rejections: Rejections) -> _Resolved:
    features, properties = texts(rows, observed.feature, rejections), texts(rows, "property", rejections)
    given = rejections.alive
    width = len(properties.values) + 1
    nowhere = len(features.values) * width
    combined = np.where(given, features.codes.astype(np.int64) * width + properties.codes, nowhere)
    distinct, which = _distinct(combined)
    keys = [("", "") if code == nowhere else (features.values[code // width], properties.values[code % width]) for code in distinct.tolist()]
    known = await directory.find(session, keys)
    if not caller.everywhere:
        known = [one if one is not None and caller.sees_area(one.area) else None for one in known]
    resolved = _Resolved(keys, known, which, properties)
    lost = [key for key, one in zip(keys, known, strict=True) if one is None]
    if lost:
        await _reject_unknown(resolved, observed, {key[0] for key in lost}, directory, session, caller, rejections)
    return resolved


def _distinct(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """The distinct codes in order, and which of them each one is: by counting where there are few possible ones, by sorting where many."""
    most = int(codes.max(initial=0))
    if most > MOST_COUNTED:
        distinct, which = np.unique(codes, return_inverse=True)
        return distinct, which.reshape(-1)
    there = np.bincount(codes, minlength=most + 1) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


async def _reject_unknown(
    resolved: _Resolved, observed: Observed, features: set[str], directory: SeriesDirectory, session: AsyncSession, caller: Caller, rejections: Rejections
) -> None:
    there = {feature for feature, area in (await directory.areas(session, sorted(features))).items() if caller.sees_area(area)}
    unknown = np.array([one is None for one in resolved.known])
    no_property = unknown & np.array([key[1] not in observed.by_code for key in resolved.keys])
    no_feature = unknown & np.array([key[0] not in there for key in resolved.keys])
    what, which, keys = observed.feature, resolved.which, resolved.keys

    def named(index: int, part: int) -> str:
        return keys[int(which[index])][part][:60]

    listed = ", ".join(sorted(observed.by_code))
    rejections.reject(no_property[which], "property", "unknown-property", lambda index: f"There is no property {named(index, 1)!r}; known are {listed}.")
    rejections.reject(no_feature[which], what, f"unknown-{what}", lambda index: f"There is no {what} {named(index, 0)!r} with series; declare it first.")
    rejections.reject(
        unknown[which], "property", "unknown-series", lambda index: f"{what} {named(index, 0)!r} has no series {named(index, 1)!r}; declare it first."
    )


def _times(rows: Rows, resolved: _Resolved, observed: Observed, now: datetime, rejections: Rejections) -> Moments:
    """The beginning of what each row stands for."""
    sent = moments(rows, "time", rejections)
    earliest, current = microseconds(observed.earliest), microseconds(now)
    early, late = sent < earliest, sent > current + SKEW.seconds * 1_000_000
    since = moment_text(earliest)
    rejections.reject(early, "time", "too-early", lambda index: f"{moment_text(int(sent[index]))} lies before {since}, the earliest time taken here.")
    rejections.reject(late, "time", "in-the-future", lambda index: _ahead(int(sent[index]), current))
    return np.where(early | late, earliest, sent) - resolved.each(lambda known: known.shift_us)


def _ahead(moment: int, current: int) -> str:
    return (
        f"{moment_text(moment)} is {(moment - current) // 1_000_000} s ahead of this service's clock ({moment_text(current)}); "
        f"at most {SKEW.seconds} s are tolerated. Check the sender's clock and zone."
    )


def _values(rows: Rows, resolved: _Resolved, observed: Observed, rejections: Rejections) -> Numbers:
    value = numbers(rows, "value", rejections)
    if "unit" in rows.columns:
        value = _converted(value, texts(rows, "unit", rejections, required=False), resolved, observed, rejections)
    lowest = resolved.measured(observed, lambda one: one.minimum, -np.inf)
    highest = resolved.measured(observed, lambda one: one.maximum, np.inf)

    def explain(index: int) -> str:
        measured = observed.by_code[resolved.keys[int(resolved.which[index])][1]]
        return f"{value[index]:g} {measured.unit} is not possible for {measured.code}; it lies between {measured.minimum:g} and {measured.maximum:g}."

    with np.errstate(invalid="ignore"):
        rejections.reject((value < lowest) | (value > highest), "value", "out-of-range", explain)
    return value


def _converted(value: Numbers, sent: Texts, resolved: _Resolved, observed: Observed, rejections: Rejections) -> Numbers:
    """Values in the units of their properties. A row without a unit is in that of its property."""
    width = len(sent.values) + 1
    combined = np.where(rejections.alive & (sent.codes >= 0), resolved.which * width + sent.codes, -1)
    converted = value.copy()
    for code in np.unique(combined[combined >= 0]).tolist():
        unit, target = sent.values[code % width], observed.by_code[resolved.keys[code // width][1]].unit
        rows = combined == code
        result = units.convert(value[rows], unit, target)
        if result is None:
            rejections.reject(rows, "unit", "unknown-unit", _explain_unit(unit, target))
        else:
            converted[rows] = result
    return converted


def _explain_unit(unit: str, target: str) -> Callable[[int], str]:
    return lambda _: f"The unit {unit[:40]!r} cannot be converted to {target}; send one of {', '.join(units.alike(target))} (UCUM)."


def _qualities(rows: Rows, rejections: Rejections) -> NDArray[np.int16]:
    """Flags as sent, good where none was sent."""
    column = rows.columns.get("quality")
    if column is None:
        return np.full(len(rows), Quality.GOOD, dtype=np.int16)
    flags = {None: Quality.GOOD} | {flag.value: flag for flag in Quality} | {str(flag.value): flag for flag in Quality}
    sent = column if isinstance(column, list) else column.to_pylist()
    found = [flags.get(value) if isinstance(value, str | int | None) and not isinstance(value, bool) else None for value in sent]
    wrong = np.array([flag is None for flag in found], dtype=np.bool_)
    rejections.reject(wrong, "quality", "unknown-quality", lambda _: "quality is 1 (good), 2 (not evaluated), 3 (suspect) or 4 (bad).")
    return np.array([Quality.GOOD if flag is None else flag for flag in found], dtype=np.int16)


def _one_per_key(batch: Batch) -> None:
    """Sort by series and time; equal repetitions are duplicates, contradictory ones are all rejected."""
    batch.cut(np.lexsort((batch.time, batch.series)))
    if len(batch) < 2:
        return
    first = np.ones(len(batch), dtype=np.bool_)
    first[1:] = (batch.series[1:] != batch.series[:-1]) | (batch.time[1:] != batch.time[:-1])
    if first.all():
        return
    starts = np.flatnonzero(first)
    agree = np.minimum.reduceat(batch.value, starts) == np.maximum.reduceat(batch.value, starts)
    agreed = agree[np.cumsum(first) - 1]
    contradictory = np.zeros(len(batch.rejections.alive), dtype=np.bool_)
    contradictory[batch.place[~agreed]] = True
    why = "The batch has this time twice with different values; send only the right one."
    batch.rejections.reject(contradictory, "value", "contradictory", lambda _: why)
    batch.duplicates += int((agreed & ~first).sum())
    batch.cut(agreed & first)
