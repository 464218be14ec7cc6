"""Rules between properties of one place: values that contradict each other are kept and flagged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from shared.body.typed import Moments, Numbers
from shared.series.copying import literal
from shared.series.directory import SeriesDirectory
from shared.series.properties import NeverAbove, Quality
from shared.series.raw import driver_of
from shared.series.reading import Batch

_STORED = """
    SELECT given.place::integer, o.value
    FROM unnest($1::text::integer[], $2::text::bigint[]) WITH ORDINALITY AS given (series, time, place)
    JOIN observations o ON o.series = given.series AND o.time = 'epoch'::timestamptz + given.time * interval '1 microsecond'
    WHERE o.time BETWEEN 'epoch'::timestamptz + $3::bigint * interval '1 microsecond' AND 'epoch'::timestamptz + $4::bigint * interval '1 microsecond'
"""


async def flag_contradictions(batch: Batch, rules: tuple[NeverAbove, ...], directory: SeriesDirectory, session: AsyncSession) -> None:
    """Flag as suspect what breaks a rule, within the batch and against what is recorded."""
    measured = {known.property for known in batch.known.values()}
    for rule in rules:
        if measured.isdisjoint((rule.lesser, rule.greater)):
            continue
        partner, is_lesser = await _partners(batch, rule, directory, session)
        rows = np.flatnonzero(partner)
        other, value = await _beside(batch, rows, partner[rows], session), batch.value[rows]
        with np.errstate(invalid="ignore"):
            broken = rows[np.where(is_lesser[rows], value > other, value < other)]
        batch.quality[broken] = np.maximum(batch.quality[broken], Quality.SUSPECT)


async def _partners(batch: Batch, rule: NeverAbove, directory: SeriesDirectory, session: AsyncSession) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """For each value the series of the rule's other property at the same place, 0 where there is none; and whether the value is the lesser."""
    pairs = {rule.lesser: rule.greater, rule.greater: rule.lesser}
    concerned = [known for known in batch.known.values() if known.property in pairs]
    others = await directory.find(session, [(known.feature, pairs[known.property]) for known in concerned])
    found = {known.id: other.id for known, other in zip(concerned, others, strict=True) if other is not None}
    starts = np.flatnonzero(np.diff(batch.series, prepend=-1))
    lengths, distinct = np.diff(starts, append=len(batch)), batch.series[starts].tolist()
    partner = np.array([found.get(one, 0) for one in distinct], dtype=np.int32)
    lesser = np.array([batch.known[one].property == rule.lesser for one in distinct], dtype=np.bool_)
    return np.repeat(partner, lengths), np.repeat(lesser, lengths)


async def _beside(batch: Batch, rows: NDArray[np.intp], partner: NDArray[np.int32], session: AsyncSession) -> Numbers:
    """The values of the partner series at the times of some rows, NaN where there is none. Partners within the batch are among these rows."""
    if not len(rows):
        return np.empty(0)
    times = batch.time[rows]
    place = _search(batch.series[rows], times, partner)
    found = np.where(place >= 0, batch.value[rows[place]], np.nan)
    absent = np.flatnonzero(place < 0)
    if len(absent):
        wanted = times[absent]
        stored = await (await driver_of(session)).fetch(_STORED, literal(partner[absent]), literal(wanted), int(wanted.min()), int(wanted.max()))
        for row in stored:
            found[absent[row["place"] - 1]] = row["value"]
    return found


def _search(series: NDArray[np.int32], times: Moments, partner: NDArray[np.int32]) -> NDArray[np.intp]:
    """Where among rows sorted by series and time each row's partner stands; -1 where it does not."""
    ranks, which = np.unique(times, return_inverse=True)
    keys = series.astype(np.int64) * len(ranks) + which.reshape(-1)
    sought = partner.astype(np.int64) * len(ranks) + which.reshape(-1)
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where(keys[place] == sought, place, -1)
