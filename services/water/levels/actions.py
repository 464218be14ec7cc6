"""After a load of readings: stages follow the water, and every change is told."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.water.levels.domain import LIVE_FOR, SOURCE, STAGES, Change, Stage, changes
from services.water.models import gauges, stages
from shared.caller import Caller
from shared.events.water import StageChanged
from shared.outbox.record import record_all
from shared.series import Loaded
from shared.vocabulary import WarningLevel

_READINGS = text("""
    SELECT s.feature, o.time, o.value FROM series s LEFT JOIN stages g ON g.gauge = s.feature
    JOIN LATERAL (SELECT time, value FROM observations WHERE series = s.id AND quality <= 2 AND time >= GREATEST(g.since, :earliest)) o ON true
    WHERE s.property = 'water_level' AND s.feature = ANY(:codes) ORDER BY s.feature, o.time
""").bindparams(bindparam("codes", type_=ARRAY(Text)))
"""Readings that are good or not evaluated, since the present stage began: going through them once more changes nothing."""


async def follow_water(session: AsyncSession, loaded: Loaded, now: datetime, caller: Caller) -> None:
    """Bring the stages of gauges up to the readings of a load. Loads of one gauge wait for each other."""
    codes = {gauge for gauge, measured in loaded.measured if measured == "water_level"}
    locked = select(gauges).where(gauges.c.code == func.any(sorted(codes))).order_by(gauges.c.code).with_for_update(key_share=True)
    known = {gauge.code: gauge for gauge in await session.execute(locked)}
    present = {row.gauge: row.stage for row in await session.execute(select(stages).where(stages.c.gauge == func.any(sorted(known))))}
    found = await session.execute(_READINGS, {"codes": sorted(known), "earliest": now - LIVE_FOR})
    rows, events = [], []
    for code, group in groupby(found, key=lambda row: row.feature):
        readings = [(row.time, row.value) for row in group]
        changed = list(changes(readings, thresholds_of(known[code]), present.get(code, "none")))
        events += [_told(known[code], change) for change in changed]
        if changed or code not in present:
            last = changed[-1] if changed else Change("none", "none", *readings[0])
            rows.append({"gauge": code, "stage": last.stage, "since": last.at, "water_level": last.water_level, "recorded_by": caller.subject})
    if rows:
        added = insert(stages).values(rows)
        replaced = {name: added.excluded[name] for name in ("stage", "since", "water_level", "recorded_by")}
        await session.execute(added.on_conflict_do_update(index_elements=["gauge"], set_=replaced))
    record_all(session, events)


def thresholds_of(gauge: Any) -> dict[Stage, float]:
    return {stage: getattr(gauge, stage) for stage in STAGES[1:] if getattr(gauge, stage) is not None}


def _told(gauge: Any, change: Change) -> StageChanged:
    facts = {name: getattr(gauge, name) for name in ("area", "river", "lon", "lat")} | asdict(change)
    level = None if change.stage == "none" else WarningLevel(len(STAGES) - STAGES.index(change.stage))
    return StageChanged(gauge=gauge.code, warninglevel=level, threshold=thresholds_of(gauge).get(change.stage), source=SOURCE, **facts)
