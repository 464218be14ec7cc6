"""Loads batches of values: new ones are taken, equal ones are duplicates, others conflict or correct; roll-ups follow in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ARRAY, Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches import LoadAnswer
from shared.body import Rows
from shared.body.typed import moment_text
from shared.caller import Caller
from shared.series import crossings, rollups
from shared.series.copying import Array, binary, constant, timestamps
from shared.series.directory import Key, SeriesDirectory
from shared.series.plausibility import flag_contradictions
from shared.series.properties import COUNTED, Observed
from shared.series.raw import driver_of
from shared.series.reading import Batch, read_batch

_COLUMNS = ["series", "time", "value", "quality", "recorded_at", "recorded_by"]
_BEGIN = text("""
    SELECT (extract(epoch FROM begin_moment() - '2000-01-01Z'::timestamptz) * 1000000)::bigint
    FROM (SELECT count(*) FROM unnest(:months) AS month, LATERAL make_observation_partition(month)) AS made
""").bindparams(bindparam("months", type_=ARRAY(Date)))
_STAGE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS fresh_observations (series integer, time timestamptz, value float8, quality smallint, place integer)
    ON COMMIT DELETE ROWS
"""
_TAKE = """
    INSERT INTO observations (series, time, value, quality, recorded_at, recorded_by)
    SELECT series, time, value, quality, recorded_moment(), $1 FROM fresh_observations ORDER BY series, time
    ON CONFLICT (series, time) DO NOTHING
"""
_MET = """
    SELECT f.place, o.value, o.quality FROM fresh_observations f JOIN observations o ON o.series = f.series AND o.time = f.time
    WHERE o.recorded_at <> recorded_moment() AND o.time BETWEEN $1 AND $2
"""
"""What was recorded before under the same keys: this transaction's own rows bear its own moment."""
_LOCK = """
    SELECT 1 FROM observations o JOIN fresh_observations f ON o.series = f.series AND o.time = f.time
    WHERE f.place = ANY($1::integer[]) AND o.time BETWEEN $2 AND $3 ORDER BY o.series, o.time FOR UPDATE OF o
"""
_CORRECT = """
    UPDATE observations o SET value = f.value, quality = f.quality, recorded_by = $2 FROM fresh_observations f
    WHERE o.series = f.series AND o.time = f.time AND f.place = ANY($1::integer[]) AND o.time BETWEEN $3 AND $4
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a batch, and which limits its values crossed."""

    answer: LoadAnswer
    crossings: list[crossings.Crossing]
    measured: frozenset[Key] = frozenset()
    """Feature and property of every series that got a value."""
    since: datetime | None = None
    until: datetime | None = None
    """The earliest and the latest time among the values; None if there were none."""


async def load(
    session: AsyncSession, rows: Rows, observed: Observed, directory: SeriesDirectory, caller: Caller, now: datetime, *, correct: bool = False
) -> Loaded:
    """Load the rows of a body, in the session's transaction, once in it.

    A value that is recorded already with the same key is a duplicate; with another value it is rejected as `conflict`, or, if `correct`,
    put in the place of the old one, which the history keeps with who and when.
    """
    batch = await read_batch(rows, observed, directory, session, caller, now)
    if not len(batch):
        return Loaded(batch.rejections.answer(taken=0, corrected=0, duplicates=batch.duplicates), [])
    moment: int = (await session.execute(_BEGIN, {"months": _months(batch)})).scalar_one()
    driver = await driver_of(session)
    await flag_contradictions(batch, observed.never_above, directory, session)
    outcome = await _store(driver, batch, moment, caller.subject, correct=correct)
    crossed = []
    for above in await _roll_up(driver, batch, observed, outcome):
        crossed += await crossings.crossings(driver, above, batch.known, observed.limits, now)
    answer = batch.rejections.answer(
        taken=int(outcome.taken.sum()), corrected=int(outcome.corrected.sum()), duplicates=batch.duplicates + int(outcome.duplicate.sum())
    )
    measured = (batch.known[series] for series in np.unique(batch.series).tolist())
    since, until = rollups.moment(int(batch.time.min())), rollups.moment(int(batch.time.max()))
    return Loaded(answer, crossed, frozenset((one.feature, one.property) for one in measured), since, until)


def _months(batch: Batch) -> list[date]:
    months = np.unique(batch.time.astype("datetime64[us]").astype("datetime64[M]"))
    return [month.item() for month in months]


@dataclass(slots=True)
class _Outcome:
    """What became of each value."""

    taken: NDArray[np.bool_]
    corrected: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]

    @classmethod
    def all_taken(cls, rows: int) -> _Outcome:
        return cls(np.ones(rows, dtype=np.bool_), np.zeros(rows, dtype=np.bool_), np.zeros(rows, dtype=np.bool_))


async def _store(driver: Any, batch: Batch, moment: int, subject: str, *, correct: bool) -> _Outcome:
    """Copy all values at once; only if one is there already, merge them one by one."""
    now = np.full(len(batch), moment, dtype=np.int64)
    values: list[Array] = [batch.series, timestamps(batch.time), batch.value, batch.quality]
    try:
        async with driver.transaction():
            source = binary([*values, now, constant(subject, len(batch))])
            await driver.copy_to_table("observations", source=source, columns=_COLUMNS, format="binary")
        return _Outcome.all_taken(len(batch))
    except asyncpg.UniqueViolationError:
        pass  # some are recorded already: told apart from the new ones below
    await driver.execute(_STAGE)
    places = np.arange(len(batch), dtype=np.int32)
    await driver.copy_to_table("fresh_observations", source=binary([*values, places]), columns=[*_COLUMNS[:4], "place"], format="binary")
    await driver.execute(_TAKE, subject)
    return await _met(driver, batch, subject, correct=correct)


async def _met(driver: Any, batch: Batch, subject: str, *, correct: bool) -> _Outcome:
    """Compare with what was recorded before, and correct it if that is asked for."""
    outcome = _Outcome.all_taken(len(batch))
    span = rollups.moment(int(batch.time.min())), rollups.moment(int(batch.time.max()))
    met = await driver.fetch(_MET, *span)
    if not met:
        return outcome
    place = np.array([row["place"] for row in met])
    values = np.array([row["value"] for row in met])
    outcome.taken[place] = False
    differs = batch.value[place] != values
    if correct and batch.quality_stated:
        differs |= batch.quality[place] != np.array([row["quality"] for row in met])
    outcome.duplicate[place[~differs]] = True
    if correct and differs.any():
        changed = place[differs].tolist()
        await driver.execute(_LOCK, changed, *span)
        await driver.execute(_CORRECT, changed, subject, *span)
        outcome.corrected[place[differs]] = True
    elif differs.any():
        _reject(batch, place[differs], values[differs])
    return outcome


def _reject(batch: Batch, place: NDArray[np.intp], recorded: NDArray[np.float64]) -> None:
    """Say of each conflicting value what is recorded instead."""
    conflicting = np.zeros(len(batch.rejections.alive), dtype=np.bool_)
    rows = batch.place[place]
    conflicting[rows] = True
    found = {int(row): (int(time), float(value)) for row, time, value in zip(rows, batch.time[place], recorded, strict=True)}

    def explain(index: int) -> str:
        time, value = found[index]
        return f"{moment_text(time)} is already recorded with {value:g}. Send it with correct=true if that was wrong."

    batch.rejections.reject(conflicting, "value", "conflict", explain)


async def _roll_up(driver: Any, batch: Batch, observed: Observed, outcome: _Outcome) -> list[rollups.Means]:
    """Bring the hours up to date; those above their limit that have become valid, and those that a correction has lifted above it."""
    found = []
    counted = outcome.taken & (batch.quality <= COUNTED)
    if counted.any():
        hours = rollups.roll_up(batch.series[counted], batch.time[counted], batch.value[counted])
        hourly = bool(hours.count.max() == 1) and len(np.unique(hours.series)) < len(hours.series)  # live readings come one by one into an hour that is there
        valid = await rollups.add(driver, hours, batch.needs(hours.series), likely_new=hourly)
        found.append(valid[valid.mean > crossings.limits_of(batch.known, observed.limits, valid.series, valid.hour)])
    if outcome.corrected.any():
        keys = np.unique(np.stack((batch.series[outcome.corrected], batch.time[outcome.corrected] // rollups.HOUR_US * rollups.HOUR_US)), axis=1)
        remade = await rollups.remake(driver, keys[0], keys[1])
        needs, limited = batch.needs(remade.now.series), crossings.limits_of(batch.known, observed.limits, remade.now.series, remade.now.hour)
        was_above = (remade.count_before >= needs) & (remade.mean_before > limited)
        found.append(remade.now[(remade.count >= needs) & (remade.now.mean > limited) & ~was_above])
    return found
