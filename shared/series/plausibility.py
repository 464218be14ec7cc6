"""Rules between properties of one place: values that contradict each other are kept and flagged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from shared.body.typed import Numbers
from shared.series.directory import SeriesDirectory
from shared.series.properties import NeverAbove, Quality
from shared.series.raw import driver_of
from shared.series.reading import Batch

_STORED = """
    SELECT given.place::integer, o.value
    FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS given (series, time, place)
    JOIN observations o ON o.series = given.series AND o.time = 'epoch'::timestamptz + given.time * interval '1 microsecond'
    WHERE o.time BETWEEN 'epoch'::timestamptz + $3::bigint * interval '1 microsecond' AND 'epoch'::timestamptz + $4::bigint * interval '1 microsecond'
"""


async def flag_contradictions(batch: Batch, rules: tuple[NeverAbove, ...], directory: SeriesDirectory, session: AsyncSession) -> None:
    """Flag as suspect what breaks a rule, within the batch and against what is recorded."""
    measured = {known.property for known in batch.known.values()}
    for rule in rules:
        if measured.isdisjoint((rule.lesser, rule.greater)):
            continue
        lesser, greater = await _partners(batch, rule.lesser, rule.greater, directory, session)
        upper = await _beside(batch, lesser, session)
        lower = await _beside(batch, greater, session)
        with np.errstate(invalid="ignore"):
            broken = ((lesser > 0) & (batch.value > upper)) | ((greater > 0) & (batch.value < lower))
        batch.quality[broken] = np.maximum(batch.quality[broken], Quality.SUSPECT)


async def _partners(batch: Batch, lesser: str, greater: str, directory: SeriesDirectory, session: AsyncSession) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each value of one property, the series of the other at the same place; 0 where there is none."""
    pairs = {lesser: greater, greater: lesser}
    concerned = [known for known in batch.known.values() if known.property in pairs]
    others = await directory.find(session, [(known.feature, pairs[known.property]) for known in concerned])
    found = []
    for name in (lesser, greater):
        partner = {known.id: other.id for known, other in zip(concerned, others, strict=True) if other is not None and known.property == name}
        distinct, which = np.unique(batch.series, return_inverse=True)
        found.append(np.array([partner.get(one, 0) for one in distinct.tolist()], dtype=np.int32)[which.reshape(-1)])
    return found[0], found[1]


async def _beside(batch: Batch, partner: NDArray[np.int32], session: AsyncSession) -> Numbers:
    """The value of the partner series at the same time, NaN where there is none."""
    found = np.full(len(batch), np.nan)
    wanted = np.flatnonzero(partner > 0)
    if not len(wanted):
        return found
    place = _search(batch, partner[wanted], batch.time[wanted])
    inside = place >= 0
    found[wanted[inside]] = batch.value[place[inside]]
    absent = wanted[~inside]
    if len(absent):
        times = batch.time[absent]
        stored = await (await driver_of(session)).fetch(_STORED, partner[absent].tolist(), times.tolist(), int(times.min()), int(times.max()))
        for row in stored:
            found[absent[row["place"] - 1]] = row["value"]
    return found


def _search(batch: Batch, series: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where in the batch, which is sorted, each series and time stands; -1 where it does not."""
    ranks, inverse = np.unique(np.concatenate((batch.time, time)), return_inverse=True)
    inverse = inverse.reshape(-1)
    width = len(ranks) + 1
    keys = batch.series.astype(np.int64) * width + inverse[: len(batch)]
    sought = series.astype(np.int64) * width + inverse[len(batch) :]
    place = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where(keys[place] == sought, place, -1)
